"""What people write into the search box of a page: MLflow's filter, plain words, or a period such as `last 7 days`.

A text without a comparison is words, each of which must occur somewhere in a run. In a filter, times may be written as
people write them. MLflow's API has none of this: there, a filter means what it means in MLflow.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from . import written_times
from .errors import MltrailError, invalid
from .filters import Clause, Entity, parse
from .written_times import TimeSpan

TIMES = ("start_time", "end_time", "created", "Created")
MAX_TEXT = 10_000
"""A longer text is a filter as it is in MLflow: looking for quotes takes a time that grows with its square."""
MAX_WORDS = 8
MAX_WORD = 200
MAX_PERIODS = 8

_QUOTED = r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|`[^`]*`"
_COMPARES = re.compile(
    rf"""(?P<quoted>{_QUOTED})
      | [=<>~]
      | \b(?:I|R)?LIKE\b \s* ['"]
      | \bIN\b \s* \(
      | \bIS\s+(?:NOT\s+)?NULL\b
      | \bBETWEEN\b
      | (?<![\w.])(?:metrics?|params?|parameters?|tags|attributes?)\.[\w`"']
    """,
    re.VERBOSE,
)
_BARE_TIME = re.compile(
    rf"(?P<quoted>{_QUOTED})|(?P<before>\b(?:{'|'.join(TIMES)})`?\s*(?:>=|<=|!=|=|>|<)\s*)"
    rf"(?P<time>{written_times.TIME})(?=\s|$)",
    re.IGNORECASE,
)
_TRACE_TIME = re.compile(
    rf"(?<![\w.`\"'])(?:trace\.|attributes?\.)?(?P<name>start_time|timestamp|end_time)(?:_ms)?\s*"
    rf"(?P<operator>>=|<=|!=|=|>|<)\s*(?:(?P<time>{_QUOTED}|(?:{written_times.TIME})(?=\s|$))|(?P<number>\d+(?=\s|$)))"
    rf"|(?P<quoted>{_QUOTED})",
    re.IGNORECASE,
)
_TRACE_TIMES = {"start_time": "timestamp_ms", "end_time": "end_time_ms"}
_PERIOD = re.compile(rf"(?P<quoted>{_QUOTED})|(?<!\S)(?P<period>{written_times.PERIOD})(?!\S)", re.IGNORECASE)
_WORD = re.compile(r"\"([^\"]+)\"(?!\S)|'([^']+)'(?!\S)|(\S+)")
_AND = re.compile(rf"(?P<quoted>{_QUOTED})|(?<![\w.])AND(?![\w.])", re.IGNORECASE)
_JOINS_BEFORE = re.compile(r"(?:^|\s)AND\s*$", re.IGNORECASE)
_JOINS_AFTER = re.compile(r"^\s*AND(?:\s|$)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class PageFilter:
    """What a search box says: comparisons, and words each of which must occur in a run. `text` is what was written;
    `parts` are its comparisons, words and periods as they were written, each of which can be removed on its own.
    """

    text: str = ""
    clauses: Sequence[Clause] = ()
    words: Sequence[str] = ()
    parts: Sequence[str] = ()

    def without(self, place: int) -> str:
        """Write the text without one of its parts."""
        return _joined([part for number, part in enumerate(self.parts) if number != place])

    def with_part(self, part: str) -> str:
        """Write the text with a comparison added."""
        return _joined([*self.parts, part])


def read(text: str, now: int) -> PageFilter:
    """Read a search box at the time `now`, in milliseconds since the epoch. Raises INVALID for a filter that can't be
    read.
    """
    if len(text) > MAX_TEXT:
        return PageFilter(text, parse(text), (), (text,))
    rest, periods = _without_periods(text.strip())
    if len(periods) > MAX_PERIODS:
        raise _too_many_periods()
    within = tuple(clause for period in periods for clause in _in_period(period, now))
    comparisons: list[str] = []
    others: list[str] = []
    for part in _split(rest) if _is_filter(rest) else ():
        (comparisons if _is_filter(part) or not part else others).append(part)
    if not comparisons:
        others = [rest]
    clauses = tuple(made for clause in parse(_quoted(comparisons)) for made in with_times(clause, now))
    written = _all_words(others)
    parts = (*filter(None, comparisons), *written.values(), *periods)
    return PageFilter(text, (*clauses, *within), tuple(written), parts)


def with_milliseconds(text: str, now: int) -> str:
    """Rewrite a filter on traces for MLflow, where times are milliseconds: in `text`, `timestamp`, `start_time` and
    `end_time` can be compared with times as people write them, and `last 7 days` is about when a trace began. Raises
    INVALID for text that is not a time.
    """
    if len(text) > MAX_TEXT:
        return text
    rest, periods = _without_periods(text.strip())
    if len(periods) > MAX_PERIODS:
        raise _too_many_periods()
    within = [clause for period in periods for clause in _in_period(period, now)]
    parts = [_TRACE_TIME.sub(lambda found: _in_milliseconds(found, now), rest), *map(_of_trace, within)]
    return " AND ".join(filter(None, parts))


def _in_milliseconds(found: re.Match[str], now: int) -> str:
    if found["quoted"] is not None:
        return found[0]
    key = "end_time" if found["name"].lower() == "end_time" else "start_time"
    if found["number"] is not None:
        return f"trace.{_TRACE_TIMES[key]} {found['operator']} {found['number']}"
    written = found["time"][1:-1] if found["time"][0] in "'\"`" else found["time"]
    clause = Clause(Entity.ATTRIBUTE, key, found["operator"], written)
    return " AND ".join(_of_trace(one) for one in with_times(clause, now))


def _of_trace(clause: Clause) -> str:
    return f"trace.{_TRACE_TIMES[clause.key]} {clause.operator} {clause.value:.0f}"


def with_times(clause: Clause, now: int) -> Iterator[Clause]:
    """Replace a written time in a comparison by milliseconds since the epoch. Raises INVALID for what is no time.

    A day is from its first to its last moment: `>` and `>=` begin with it, `<` ends before it, `<=` ends with it.
    """
    if clause.entity is not Entity.ATTRIBUTE or clause.key not in TIMES or not isinstance(clause.value, str):
        yield clause
        return
    span = written_times.read(clause.value, now)
    if span is None:
        raise invalid(f"{clause.value!r} can't be read as a time. Write, for example, {written_times.EXAMPLES}.")
    bounds = _BOUNDS.get(clause.operator)
    if bounds is None:
        raise invalid(f"A time can't be compared with {clause.operator}; use one of = > >= < <=.")
    for operator, at_end in bounds:
        yield Clause(Entity.ATTRIBUTE, clause.key, operator, float(span.end_ms if at_end else span.begin_ms))


_BOUNDS: dict[str, Sequence[tuple[str, bool]]] = {
    ">": [(">=", False)],
    ">=": [(">=", False)],
    "<": [("<", False)],
    "<=": [("<", True)],
    "=": [(">=", False), ("<", True)],
}


def _without_periods(text: str) -> tuple[str, list[str]]:
    """Take the periods out of a text, each with one of the ANDs beside it."""
    found: list[str] = []
    rest = ""
    place = 0
    for match in _PERIOD.finditer(text):
        before = rest + text[place : match.start()]
        if match["period"] is None or before.rstrip().endswith(("=", "<", ">", "~")):
            continue
        found.append(match["period"])
        rest, place = _JOINS_BEFORE.sub("", before), match.end()
        if not rest.strip() and (joined := _JOINS_AFTER.match(text[place:])):
            place += joined.end()
        rest += " "
    return (rest + text[place:]).strip(), found


def _in_period(period: str, now: int) -> list[Clause]:
    span = written_times.read(period, now) or TimeSpan(now, now)
    begin = Clause(Entity.ATTRIBUTE, "start_time", ">=", float(span.begin_ms))
    return [begin] if span.open else [begin, Clause(Entity.ATTRIBUTE, "start_time", "<", float(span.end_ms))]


def _is_filter(text: str) -> bool:
    return any(found["quoted"] is None for found in _COMPARES.finditer(text))


def _joined(parts: Sequence[str]) -> str:
    return (" AND " if any(map(_is_filter, parts)) else " ").join(parts)


def _quoted(comparisons: Sequence[str]) -> str:
    """Join comparisons, with quotes around their times."""
    return _BARE_TIME.sub(
        lambda found: found["quoted"] or f"{found['before']}'{found['time']}'", " AND ".join(comparisons)
    )


def _split(text: str) -> Iterator[str]:
    """Split a text at its ANDs, outside of quotes."""
    place = 0
    for found in _AND.finditer(text):
        if found["quoted"] is None:
            yield text[place : found.start()].strip()
            place = found.end()
    yield text[place:].strip()


def _all_words(texts: Sequence[str]) -> dict[str, str]:
    """Map the words of some texts to how they were written. Raises INVALID if they are too many or too long."""
    written = dict(word for text in texts for word in _words(text))
    if len(written) > MAX_WORDS:
        raise invalid(f"A search can have at most {MAX_WORDS} words; a phrase in double quotes counts as one.")
    if any(len(word) > MAX_WORD for word in written):
        raise invalid(f"A word in a search can have at most {MAX_WORD} characters.")
    return written


def _words(text: str) -> Iterator[tuple[str, str]]:
    """Split a text into words and quoted phrases; each as it is searched for, and as it was written."""
    for found in _WORD.finditer(text):
        if found[3] == "AND":
            continue
        if found[3] == "OR":
            raise _no_or()
        yield next(filter(None, found.groups())), found[0]


def _too_many_periods() -> MltrailError:
    return invalid(f"A search can have at most {MAX_PERIODS} periods of time.")


def _no_or() -> MltrailError:
    return invalid("OR is not supported: search for each side on its own. A run must contain every word of a search.")
