"""Write filters and orders as text: `parse(written(clauses))` gives the same clauses."""

import re
from collections.abc import Sequence

from .filters import Clause, Entity, Order, Value

_PREFIX = {
    Entity.METRIC: "metrics",
    Entity.PARAM: "params",
    Entity.TAG: "tags",
    Entity.ATTRIBUTE: "attributes",
    Entity.DATASET: "dataset",
}
_PLAIN_KEY = re.compile(r"[\w\-]+(?:\.[\w\-]+)*")


def written(clauses: Sequence[Clause]) -> str:
    """Write a filter. Raises ValueError for a key or value with all kinds of quotes, which the language
    can't express.
    """
    return " AND ".join(_clause(clause) for clause in clauses)


def written_order(order: Order) -> str:
    """Write one element of `order_by`. Raises ValueError as `written` does."""
    return f"{_name(order.entity, order.key)} {'DESC' if order.descending else 'ASC'}"


def _clause(clause: Clause) -> str:
    name = _name(clause.entity, clause.key)
    if clause.operator in ("IS NULL", "IS NOT NULL"):
        return f"{name} {clause.operator}"
    return f"{name} {clause.operator} {_value(clause.value)}"


def _name(entity: Entity, key: str) -> str:
    if not _PLAIN_KEY.fullmatch(key):
        quote = next((quote for quote in "`\"'" if quote not in key), None)
        if quote is None:
            raise ValueError(f"The key {key!r} contains all kinds of quotes, so no filter can name it.")
        key = f"{quote}{key}{quote}"
    return f"{_PREFIX[entity]}.{key}"


def _value(value: Value) -> str:
    if isinstance(value, tuple):
        return f"({', '.join(_text(one) for one in value)})"
    return _text(value) if isinstance(value, str) else _number(value)


def _number(value: float | None) -> str:
    if value is None or value != value:  # noqa: PLR0124 - only NaN differs from itself
        raise ValueError(f"{value} is not a number that a filter can contain.")
    if value in (float("inf"), float("-inf")):
        return "1e999" if value > 0 else "-1e999"
    return repr(value)


def _text(value: str) -> str:
    """Quote a text. As in MLflow, a doubled quote inside is two characters and no escape, so only pairs are allowed."""
    for quote in "'\"":
        if quote not in value.replace(quote * 2, ""):
            return f"{quote}{value}{quote}"
    raise ValueError(f"The text {value!r} contains both kinds of quotes, so no filter can compare with it.")
