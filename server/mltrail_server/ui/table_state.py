"""The state of a table of candidates, all of it in the URL, so that a link shows somebody else the same."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Self, TypeVar
from urllib.parse import urlencode

from werkzeug.datastructures import MultiDict

from mltrail_server.domain import filter_text as text
from mltrail_server.domain import page_filters
from mltrail_server.domain.candidate import ViewType
from mltrail_server.domain.errors import MltrailError, invalid
from mltrail_server.domain.filters import Clause, Entity, Order, parse_orders
from mltrail_server.domain.page_filters import PageFilter

from . import sentences
from .chart_state import ChartState

MOST_COLUMNS = 200
MOST_CHARTS = 24
DRAWN, DRAWS = 10, (5, 10, 25, 50, 100)
"""How many runs are drawn unless the address says otherwise, and what it can say: more than ten are hard to tell apart.
"""
MOST_RUNS = 100
"""How many runs an address can pin, hide, colour or open."""
MOST_DIGITS = 18
V = TypeVar("V")
METRIC, PARAM = "metrics.", "params."
_OF_JOBS = frozenset({"job", "pipeline", "mr"})
_SIDES = ("", "narrow", "wide", "closed")
_VIEWS = {"active": ViewType.ACTIVE_ONLY, "deleted": ViewType.DELETED_ONLY, "all": ViewType.ALL}


@dataclass(frozen=True, slots=True)
class TableColumn:
    """A column that every table has. `order` is what it is sorted by."""

    key: str
    label: str
    order: str
    by_default: bool = True


FIXED = (
    TableColumn("created", "Created", "start_time"),
    TableColumn("ended", "Ended", "end_time", by_default=False),
)
GITLAB = (
    TableColumn("job", "Job", "tags.`gitlab.CI_JOB_ID`"),
    TableColumn("pipeline", "Pipeline", "tags.`gitlab.CI_PIPELINE_ID`", by_default=False),
    TableColumn("mr", "Merge request", "tags.`gitlab.CI_MERGE_REQUEST_IID`"),
    TableColumn("commit", "Commit", "tags.`gitlab.CI_COMMIT_SHA`"),
    TableColumn("author", "Author", "user_id"),
)


@dataclass(frozen=True, slots=True)
class Chip:
    """One comparison of the filter, and the URL without it."""

    text: str
    without: str


@dataclass(frozen=True, slots=True)
class State:
    """`group` is what runs are grouped by; `flat` keeps children beside their parents instead of folding them, and
    `opened` names the parents or groups that are not folded. `hidden` runs are not drawn; `colours` are places in the
    palette that were chosen for runs. `charts` are the metrics that are drawn: None leaves the choice to us, and no
    metric at all closes the charts. `side` is how much of the width they have, `draw` how many runs are drawn.
    """

    filter: str = ""
    order: str = ""
    columns: tuple[str, ...] | None = None  # None: those that are worth showing
    view: str = "active"
    page: str | None = None
    search: PageFilter = field(default_factory=PageFilter)  # what `filter` says
    orders: Sequence[Order] = ()
    problem: str | None = None
    group: str = ""
    flat: bool = False
    opened: tuple[str, ...] = ()
    pins: tuple[int, ...] = ()
    hidden: tuple[int, ...] = ()
    colours: tuple[tuple[int, int], ...] = ()
    charts: tuple[str, ...] | None = None
    side: str = ""
    draw: int = DRAWN
    drawing: ChartState = field(default_factory=ChartState)
    saved: int | None = None  # the saved view that this began as

    @classmethod
    def read(cls, arguments: MultiDict[str, str], now: int) -> Self:
        """Read a query string at the time `now`, in milliseconds since the epoch. If filter or order is wrong,
        `problem` says why, and they are ignored.
        """
        view, side = arguments.get("view", "active"), arguments.get("side", "")
        state = cls(
            arguments.get("filter", "").strip(),
            arguments.get("order", "").strip(),
            _names(arguments, "c", MOST_COLUMNS),
            view if view in _VIEWS else "active",
            arguments.get("page"),
            group=arguments.get("group", "").strip(),
            flat=arguments.get("flat") == "1",
            opened=_names(arguments, "open", MOST_RUNS) or (),
            pins=_numbers(arguments, "pin"),
            hidden=_numbers(arguments, "hide"),
            colours=_colours(arguments.getlist("colour")),
            charts=_names(arguments, "chart", MOST_CHARTS),
            side=side if side in _SIDES else "",
            draw=_number(arguments.get("draw", "")) or DRAWN,
            drawing=ChartState.read(arguments),
            saved=_number(arguments.get("saved", "")),
        )
        try:
            return replace(state, search=page_filters.read(state.filter, now), orders=parse_orders([state.order]))
        except MltrailError as error:
            return replace(state, problem=sentences.of(error))

    @property
    def view_type(self) -> ViewType:
        return _VIEWS[self.view]

    def chosen(self, prefix: str) -> list[str] | None:
        """List the chosen metrics or parameters; None if the choice is left to us."""
        if self.columns is None:
            return None
        return [key.removeprefix(prefix) for key in self.columns if key.startswith(prefix)]

    def shows(self, column: TableColumn, *, without_jobs: bool = False) -> bool:
        """Return whether a column is shown. Where no run was made by a job, as in local mode, the columns of jobs are
        shown only if they are asked for.
        """
        if self.columns is not None:
            return column.key in self.columns
        return column.by_default and not (without_jobs and column.key in _OF_JOBS)

    @property
    def closed(self) -> bool:
        """Return whether no charts are shown."""
        return self.charts == () or self.side == "closed"

    def pairs(self) -> list[tuple[str, str]]:
        """List the query's names and values, for links and for hidden fields of forms."""
        view = "" if self.view == "active" else self.view
        found = [("filter", self.filter), ("order", self.order), ("view", view), ("group", self.group)]
        found = [(name, value) for name, value in found if value]
        found += _listed("c", self.columns) + _listed("chart", self.charts)
        found += [("flat", "1")] if self.flat else []
        found += [("side", self.side)] if self.side else []
        found += [("draw", str(self.draw))] if self.draw != DRAWN else []
        found += [("open", key) for key in self.opened]
        found += [("pin", str(iid)) for iid in self.pins]
        found += [("hide", str(iid)) for iid in self.hidden]
        found += [("colour", f"{iid}:{place}") for iid, place in self.colours]
        found += self.drawing.pairs()
        return found if self.saved is None else [*found, ("saved", str(self.saved))]

    def url(self, **changes: object) -> str:
        """Write the query of this state with some of it changed; it begins at the first page unless `page` is given."""
        changed = replace(self, **{"page": None, **changes})  # type: ignore[arg-type] # the fields are named by hand
        pairs = changed.pairs()
        if changed.page:
            pairs.append(("page", changed.page))
        return "?" + urlencode(pairs)

    def sorted_by(self, order: str) -> str | None:
        """Return which way the table is sorted by a column: ascending, descending or not at all."""
        if not self.orders:
            return None
        try:
            wanted = parse_orders([order])[0]
        except MltrailError:
            return None
        first = self.orders[0]
        if (first.entity, first.key) != (wanted.entity, wanted.key):
            return None
        return "descending" if first.descending else "ascending"

    def chips(self) -> list[Chip]:
        """Split the filter into its parts, each with the URL that drops it."""
        parts = self.search.parts
        return [Chip(part, self.url(filter=self.search.without(place))) for place, part in enumerate(parts)]

    def with_clause(self, key: str, operator: str, value: str) -> Self:
        """Add a comparison from the form next to the filter. Raises INVALID for what can't be compared."""
        entity = next(
            (one for prefix, one in ((METRIC, Entity.METRIC), (PARAM, Entity.PARAM)) if key.startswith(prefix)),
            Entity.TAG if key.startswith("tags.") else Entity.ATTRIBUTE,
        )
        name = key if entity is Entity.ATTRIBUTE else key.partition(".")[2]
        try:
            compared: str | float = float(value) if entity is Entity.METRIC else value
            added = text.written([Clause(entity, name, operator, compared)])
        except ValueError as error:
            raise invalid(f"'{key}' can't be compared with '{value}': a metric needs a number.") from error
        return replace(self, filter=f"{self.filter} AND {added}" if self.filter else added)

    def changed(self, change: str, columns: Sequence[str] = ()) -> Self:
        """Apply what a button of the page asks for, such as `hide:12`: it is `name:value`, and unknown names change
        nothing. `columns` are those that are shown now, if the state leaves that choice to us.
        """
        name, _, value = change.partition(":")
        field_name = {"hide": "hidden", "pin": "pins", "open": "opened"}.get(name)
        if field_name == "opened":
            return replace(self, opened=_toggled(self.opened, value))
        number = _number(value)
        if field_name is not None and number is not None:
            return replace(self, **{field_name: _toggled(getattr(self, field_name), number)})  # type: ignore[arg-type] # of numbers
        if name == "colour":
            return replace(self, colours=_colours([*(f"{iid}:{place}" for iid, place in self.colours), value]))
        if name in ("earlier", "later"):
            return replace(self, columns=_moved(self.columns or tuple(columns), value, -1 if name == "earlier" else 1))
        return self


def order_of(prefix: str, name: str) -> str:
    """Write a metric's or parameter's name as it is in an order."""
    entity = Entity.METRIC if prefix == METRIC else Entity.PARAM
    try:
        return text.written_order(Order(entity, name, descending=False)).removesuffix(" ASC")
    except ValueError:
        return ""


def _toggled(values: tuple[V, ...], value: V) -> tuple[V, ...]:
    return tuple(one for one in values if one != value) if value in values else (*values, value)


def _moved(columns: tuple[str, ...], key: str, by: int) -> tuple[str, ...]:
    """Move a column past its neighbour of the same kind: metrics stay together, and so do parameters."""
    if key not in columns:
        return columns
    kind = key.partition(".")[0]
    alike = [one for one in columns if one.partition(".")[0] == kind]
    place = alike.index(key)
    there = min(max(place + by, 0), len(alike) - 1)
    alike[place], alike[there] = alike[there], alike[place]
    return (*(one for one in columns if one not in alike), *alike)


def _listed(name: str, values: tuple[str, ...] | None) -> list[tuple[str, str]]:
    """Write a list whose absence means something else than its being empty."""
    return [(name, "")] if values == () else [(name, value) for value in values or ()]


def _names(arguments: MultiDict[str, str], name: str, most: int) -> tuple[str, ...] | None:
    if name not in arguments:
        return None
    return tuple(dict.fromkeys(value for value in arguments.getlist(name) if value))[:most]


def _numbers(arguments: MultiDict[str, str], name: str) -> tuple[int, ...]:
    found = (_number(text) for text in arguments.getlist(name))
    return tuple(dict.fromkeys(number for number in found if number is not None))[:MOST_RUNS]


def _number(text: str) -> int | None:
    """Read a number; a damaged link shows the page all the same."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= MOST_DIGITS else None


def _colours(texts: Sequence[str]) -> tuple[tuple[int, int], ...]:
    found = {}
    for pair in texts[:MOST_RUNS]:
        before, _, after = pair.partition(":")
        iid, place = _number(before), _number(after)
        if iid is not None and place is not None:
            found[iid] = place
    return tuple(found.items())
