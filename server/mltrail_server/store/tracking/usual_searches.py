"""What a usual search compares with, as parameters: then one statement serves all searches of the same shape.

SQLAlchemy takes 1 to 4 ms to build a search, more than SQLite takes to answer it. What differs between two searches of
one shape are the numbers and texts that are compared with. All else, such as the experiment, names of metrics and the
order, belongs to the shape.
"""

from collections.abc import Sequence
from typing import Any, Self

import sqlalchemy as sa

from mltrail_server.domain.candidate import Stage
from mltrail_server.domain.filters import Clause, Entity
from mltrail_server.store import schema
from mltrail_server.store.db.filters import NUMBER_OPERATORS

Compared = tuple[Entity, str, str]
"""A clause without its value."""


class _Number(float):
    """A number that is given later. SQLAlchemy takes it for a parameter; all other code takes it for a number."""

    place: int

    def __new__(cls, place: int) -> Self:
        made = super().__new__(cls)
        made.place = place
        return made

    def __clause_element__(self) -> sa.BindParameter[float]:
        return sa.bindparam(f"value_{self.place}", type_=sa.Double)


class _Text(str):
    """A text that is given later, and its own name. A part of it is its start, of `VALUE_START` characters."""

    __slots__ = ()

    def __getitem__(self, _start: object) -> "_Text":
        return _Text(self.replace("value", "start"))

    def __clause_element__(self) -> sa.BindParameter[str]:
        return sa.bindparam(str(self), type_=sa.Text)


def is_usual(experiment_iids: Sequence[int], stages: Sequence[Stage], clauses: Sequence[Clause]) -> bool:
    """Return whether a search has a shape: it is in one experiment, without patterns and lists."""
    return len(experiment_iids) == len(stages) == 1 and all(map(_is_plain, clauses))


def _is_plain(clause: Clause) -> bool:
    if clause.entity is Entity.METRIC:
        return isinstance(clause.value, float) and clause.operator in NUMBER_OPERATORS
    is_pair = clause.entity in (Entity.PARAM, Entity.TAG)
    return is_pair and clause.operator in ("=", "!=") and isinstance(clause.value, str)


def compared(clauses: Sequence[Clause]) -> tuple[Compared, ...]:
    return tuple([(clause.entity, clause.key, clause.operator) for clause in clauses])


def given_later(clauses: Sequence[Compared]) -> list[Clause]:
    """Make clauses whose values are parameters, as `values_of` gives them."""
    return [
        Clause(*clause, _Number(place) if clause[0] is Entity.METRIC else _Text(f"value_{place}"))
        for place, clause in enumerate(clauses)
    ]


def values_of(clauses: Sequence[Clause]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for place, clause in enumerate(clauses):
        values[f"value_{place}"] = clause.value
        if isinstance(clause.value, str):
            values[f"start_{place}"] = clause.value[: schema.VALUE_START]
    return values
