"""Times as people write them: `2026-11-21`, `2026-11-21 14:30`, `yesterday`, `7 days ago`, `last 24 hours`.

All are UTC. A day, a week and a minute are spans of time. Weeks begin on Monday.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

EXAMPLES = "'2026-11-21', '2026-11-21 14:30', 'yesterday' or '7 days ago', all in UTC"

_UNITS = r"(?:second|minute|hour|day|week|month|year)s?"
_NAMED = r"now|today|yesterday|(?:this|last)\s+(?:week|month|year)"
_LAST = rf"(?:last|past)\s+(?:\d{{1,6}}\s+)?{_UNITS}"
_DATE = r"\d{4}-\d{2}(?:-\d{2}(?:[ T]\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:Z|[+-]\d{2}:\d{2})?)?)?"
PERIOD = rf"today|yesterday|(?:this|last)\s+(?:week|month|year)|{_LAST}"
"""A period as a regular expression, as it may stand beside comparisons and words."""
TIME = rf"{_DATE}|{_NAMED}|{_LAST}|(?:\d{{1,6}}|an?)\s+{_UNITS}\s+ago"

_MILLISECONDS = re.compile(r"\d{9,15}")
_MONTH = re.compile(r"(\d{4})-(\d{2})")
_AGO = re.compile(rf"(\d{{1,6}}|an?) ({_UNITS}) ago")
_SINCE = re.compile(rf"(?:last|past) (?:(\d{{1,6}}) )?({_UNITS})")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY = timedelta(days=1)
_LENGTHS = {
    "second": timedelta(seconds=1),
    "minute": timedelta(minutes=1),
    "hour": timedelta(hours=1),
    "day": _DAY,
    "week": timedelta(weeks=1),
}


@dataclass(frozen=True, slots=True)
class TimeSpan:
    """From `begin_ms` until before `end_ms`, in milliseconds since the epoch. `open` if it lasts until now."""

    begin_ms: int
    end_ms: int
    open: bool = False


def read(text: str, now: int) -> TimeSpan | None:
    """Read a time; None for what is none. `now` is in milliseconds since the epoch."""
    words = " ".join(text.lower().split())
    try:
        return _number(words) or _ago(words, now) or _period(words, now) or _date(words)
    except (ValueError, OverflowError):
        return None  # the 31st of November, or a time before the year 1


def _number(words: str) -> TimeSpan | None:
    return _moment(int(words)) if _MILLISECONDS.fullmatch(words) else None


def _ago(words: str, now: int) -> TimeSpan | None:
    if words == "now":
        return _moment(now)
    found = _AGO.fullmatch(words)
    if found is None:
        return None
    count = int(found[1]) if found[1].isdecimal() else 1
    return _moment(_ms(_before(_at(now), count, found[2])))


def _period(words: str, now: int) -> TimeSpan | None:
    named = _PERIODS.get(words)
    if named is not None:
        begin, end = named(_at(now).replace(hour=0, minute=0, second=0, microsecond=0))
        return TimeSpan(_ms(begin), _ms(end), open=_ms(end) > now)
    found = _SINCE.fullmatch(words)
    if found is None:
        return None
    return TimeSpan(_ms(_before(_at(now), int(found[1] or 1), found[2])), now + 1, open=True)


def _date(words: str) -> TimeSpan | None:
    if found := _MONTH.fullmatch(words):
        begin = datetime(int(found[1]), int(found[2]), 1, tzinfo=UTC)
        return TimeSpan(_ms(begin), _ms(_months(begin, 1)))
    if not re.fullmatch(_DATE, words.upper()):
        return None
    begin = datetime.fromisoformat(words.upper())
    begin = begin.astimezone(UTC) if begin.tzinfo else begin.replace(tzinfo=UTC)
    parts = words.count(":") - ("+" in words or words.count("-") > len("--"))
    length = _DAY if len(words) == len("2026-11-21") else _LENGTHS["minute" if parts == 1 else "second"]
    return TimeSpan(_ms(begin), _ms(begin + length))


def _before(now: datetime, count: int, unit: str) -> datetime:
    unit = unit.removesuffix("s")
    if unit in _LENGTHS:
        return now - count * _LENGTHS[unit]
    return _months(now, -count if unit == "month" else -12 * count)


def _months(moment: datetime, count: int) -> datetime:
    """Go some months ahead, or back; of a day that the month lacks, to its last one."""
    years, month = divmod(moment.month - 1 + count, 12)
    first = moment.replace(year=moment.year + years, month=month + 1, day=1)
    days = ((first + timedelta(days=31)).replace(day=1) - first).days
    return first.replace(day=min(moment.day, days))


def _week(today: datetime) -> datetime:
    return today - today.weekday() * _DAY


_PERIODS: dict[str, Callable[[datetime], tuple[datetime, datetime]]] = {
    "today": lambda today: (today, today + _DAY),
    "yesterday": lambda today: (today - _DAY, today),
    "this week": lambda today: (_week(today), _week(today) + 7 * _DAY),
    "last week": lambda today: (_week(today) - 7 * _DAY, _week(today)),
    "this month": lambda today: (today.replace(day=1), _months(today.replace(day=1), 1)),
    "last month": lambda today: (_months(today.replace(day=1), -1), today.replace(day=1)),
    "this year": lambda today: (today.replace(month=1, day=1), _months(today.replace(month=1, day=1), 12)),
    "last year": lambda today: (_months(today.replace(month=1, day=1), -12), today.replace(month=1, day=1)),
}


def _moment(milliseconds: int) -> TimeSpan:
    return TimeSpan(milliseconds, milliseconds + 1)


def _at(milliseconds: int) -> datetime:
    return _EPOCH + timedelta(milliseconds=milliseconds)


def _ms(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(milliseconds=1)
