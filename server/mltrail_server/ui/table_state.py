"""The state of a table of candidates, all of it in the URL, so that a link shows somebody else the same."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self
from urllib.parse import urlencode

from werkzeug.datastructures import MultiDict

from mltrail_server.domain import filter_text as text
from mltrail_server.domain.candidate import ViewType
from mltrail_server.domain.errors import MltrailError, invalid
from mltrail_server.domain.filters import Clause, Entity, Order, parse, parse_orders

from . import sentences

MOST_COLUMNS = 200
METRIC, PARAM = "metrics.", "params."
_OF_JOBS = frozenset({"job", "pipeline", "mr"})
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
    filter: str = ""
    order: str = ""
    columns: tuple[str, ...] | None = None  # None: those that are worth showing
    view: str = "active"
    page: str | None = None
    clauses: Sequence[Clause] = ()
    orders: Sequence[Order] = ()
    problem: str | None = None

    @classmethod
    def read(cls, arguments: MultiDict[str, str]) -> Self:
        """Read a query string. If filter or order is wrong, `problem` says why, and they are ignored."""
        columns = (
            tuple(dict.fromkeys(key for key in arguments.getlist("c") if key))[:MOST_COLUMNS]
            if "c" in arguments
            else None
        )
        view = arguments.get("view", "active")
        state = cls(
            arguments.get("filter", "").strip(),
            arguments.get("order", "").strip(),
            columns,
            view if view in _VIEWS else "active",
            arguments.get("page"),
        )
        try:
            return replace(state, clauses=parse(state.filter), orders=parse_orders([state.order]))
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

    def shows(self, column: TableColumn, *, local: bool = False) -> bool:
        """Return whether a column is shown. Local mode has no jobs, so it shows their columns only if they are asked
        for.
        """
        if self.columns is not None:
            return column.key in self.columns
        return column.by_default and not (local and column.key in _OF_JOBS)

    def pairs(self) -> list[tuple[str, str]]:
        """List the query's names and values, for links and for hidden fields of forms."""
        found = [("filter", self.filter), ("order", self.order), ("view", "" if self.view == "active" else self.view)]
        found += [("c", key) for key in self.columns or ()]
        found = [(name, value) for name, value in found if value]
        return [*found, ("c", "")] if self.columns == () else found

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
        """Split the filter into its comparisons, each with the URL that drops it."""
        made = []
        for place, clause in enumerate(self.clauses):
            rest = [one for number, one in enumerate(self.clauses) if number != place]
            try:
                made.append(Chip(text.written([clause]), self.url(filter=text.written(rest))))
            except ValueError:
                continue
        return made

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


def order_of(prefix: str, name: str) -> str:
    """Write a metric's or parameter's name as it is in an order."""
    entity = Entity.METRIC if prefix == METRIC else Entity.PARAM
    try:
        return text.written_order(Order(entity, name, descending=False)).removesuffix(" ASC")
    except ValueError:
        return ""
