"""What has become of a model: its versions and the moves of its aliases in one list, the newest first, with a lane for
each alias that shows from when to when it pointed at a version.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from mltrail_server.store.promotion.promotions import Promotion
from mltrail_server.store.registry.aliases import AliasMove
from mltrail_server.store.registry.versions import Version

_MOST_LANES = 6
MOST_MOVES = 150
"""How many moves of aliases one page lists."""


@dataclass(frozen=True, slots=True)
class LaneCell:
    """A lane's part in one row: whether the alias points at a version after it (above) and before it (below), and
    whether it moved here.
    """

    alias: str
    above: bool
    moved: bool
    below: bool


@dataclass(frozen=True, slots=True)
class Event:
    """A version was created, or aliases moved, or both at once by a promotion. `number` is the version that it is
    about; None if an alias was removed. `reason` is the person's or the promotion's.
    """

    at_ms: int
    number: int | None
    version: Version | None
    promotion: Promotion | None
    moves: tuple[AliasMove, ...]
    user_name: str
    pipeline_id: int | None
    merge_request_iid: int | None
    reason: str
    lanes: tuple[LaneCell, ...] = ()


@dataclass(frozen=True, slots=True)
class Timeline:
    lanes: tuple[str, ...]
    events: tuple[Event, ...]
    more: bool = False  # moves were left out


def of(
    versions: Sequence[Version],
    moves: Sequence[AliasMove],
    promotions: Mapping[int, Promotion],
    *,
    before_ms: int | None,
    last_page: bool,
) -> Timeline:
    """Put a page of versions, newest first, and the moves of that time into one list. `moves` are all of the model,
    newest first. `before_ms` is when the version after this page's was created; None on the first page.
    """
    since = 0 if last_page else min((one.created_ms for one in versions), default=0)
    until = before_ms if before_ms is not None else 1 << 62
    shown = [move for move in moves if since <= move.at_ms < until]
    cut, shown = len(shown) > MOST_MOVES, shown[:MOST_MOVES]
    by_moment: dict[tuple[int, int | None], list[AliasMove]] = {}
    for move in shown:
        by_moment.setdefault((move.at_ms, move.to_number), []).append(move)
    events = [
        _made(one, promotions.get(one.number), by_moment.pop((one.created_ms, one.number), ())) for one in versions
    ]
    events += [_moved(together, promotions) for together in by_moment.values()]
    events.sort(key=lambda event: (event.at_ms, event.number or 0), reverse=True)
    lanes = _lanes(moves)
    return Timeline(lanes, tuple(_with_lanes(events, lanes, moves)), cut)


def _made(version: Version, promotion: Promotion | None, moves: Sequence[AliasMove]) -> Event:
    return Event(
        version.created_ms,
        version.number,
        version,
        promotion,
        tuple(moves),
        version.user_name,
        promotion.pipeline_id if promotion else None,
        promotion.merge_request_iid if promotion else None,
        f"{promotion.bump}: {promotion.reason}" if promotion else "",
    )


def _moved(moves: Sequence[AliasMove], promotions: Mapping[int, Promotion]) -> Event:
    first = moves[0]
    promotion = promotions.get(first.to_number or 0)
    by_promotion = promotion is not None and promotion.pipeline_id == first.pipeline_id
    return Event(
        first.at_ms,
        first.to_number,
        None,
        None,
        tuple(moves),
        first.user_name,
        first.pipeline_id,
        promotion.merge_request_iid if promotion is not None and by_promotion else None,
        next((move.reason for move in moves if move.reason), ""),
    )


def _lanes(moves: Sequence[AliasMove]) -> tuple[str, ...]:
    """Choose the aliases that have lanes: those that moved last, in the order of their names."""
    found = list(dict.fromkeys(move.alias for move in moves))[:_MOST_LANES]
    return tuple(sorted(found))


def _with_lanes(events: Sequence[Event], lanes: Sequence[str], moves: Sequence[AliasMove]) -> list[Event]:
    by_alias = {alias: [move for move in moves if move.alias == alias] for alias in lanes}
    return [replace(event, lanes=tuple(_cell(alias, event, by_alias[alias]) for alias in lanes)) for event in events]


def _cell(alias: str, event: Event, moves: Sequence[AliasMove]) -> LaneCell:
    own = [move for move in event.moves if move.alias == alias]
    if own:
        return LaneCell(alias, own[0].to_number is not None, moved=True, below=own[-1].from_number is not None)
    stands = next((move.to_number is not None for move in moves if move.at_ms <= event.at_ms), False)
    return LaneCell(alias, stands, moved=False, below=stands)
