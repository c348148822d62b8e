"""A row as a line of JSON: an array of its values, in the order of `rows.columns`.

Numbers, texts, true, false and null are JSON's. A number that JSON has no word for is one of the texts "NaN",
"Infinity" and "-Infinity". Lines are read strictly: what a column can't hold is refused.
"""

import math
from collections.abc import Callable, Sequence
from functools import cache
from typing import Annotated, Any, Literal

import msgspec
import sqlalchemy as sa

from mltrail_server.domain.errors import invalid
from mltrail_server.store.db.statements import Tuple

from .rows import columns

_NOT_JSON = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
_FLOAT = float | Literal["NaN", "Infinity", "-Infinity"]
_SMALL, _INTEGER, _BIG = (
    Annotated[int, msgspec.Meta(ge=-(1 << bits - 1), le=(1 << bits - 1) - 1)] for bits in (16, 32, 64)
)

_ENCODER = msgspec.json.Encoder()


def lines(table: sa.Table, found: Sequence[Tuple]) -> bytes:
    """Write rows as lines."""
    doubles = _doubles(table)
    for place in doubles:
        found = [row if math.isfinite(row[place] or 0.0) else _spelled(row, doubles) for row in found]
    return _ENCODER.encode_lines(found)


def reader(table: sa.Table, names: Sequence[str] = ()) -> Callable[[bytes], Tuple]:
    """Return what reads a line of this table into a row. It raises INVALID for one that is not a row of it.

    `names` are the columns in the order of the line's values, if that is not the order of `rows.columns`.
    """
    stored = columns(table)
    order = [[column.name for column in stored].index(name) for name in names] or list(range(len(stored)))
    decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(tuple[tuple(_type(stored[place]) for place in order)])  # type: ignore[misc] # made of the table's columns
    doubles = _doubles(table)
    places = [order.index(place) for place in range(len(stored))]
    in_order = order == sorted(order)

    def read(line: bytes) -> Tuple:
        try:
            row: Tuple = decoder.decode(line)
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            raise invalid(f"A line of the table {table.name} is not a row of it: {error}") from error
        if not in_order:
            row = tuple([row[place] for place in places])
        for place in doubles:
            if isinstance(row[place], str):
                return _meant(row, doubles)
        return row

    return read


def _type(column: sa.Column[Any]) -> Any:  # noqa: ANN401 - a type for msgspec
    """Return what a column holds. Raises TypeError for a type of column that the schema has had no need of so far."""
    kind: Any
    match column.type:
        case sa.Boolean():
            kind = bool
        case sa.SmallInteger():
            kind = _SMALL
        case sa.BigInteger():
            kind = _BIG
        case sa.Integer():
            kind = _INTEGER
        case sa.Float():  # or its subclass Double
            kind = _FLOAT
        case sa.String():  # or its subclass Text
            kind = str
        case _:
            raise TypeError(f"An archive can't spell {column.type!r} of {column}")
    return kind | None if column.nullable else kind


@cache
def _doubles(table: sa.Table) -> tuple[int, ...]:
    return tuple(place for place, column in enumerate(columns(table)) if isinstance(column.type, sa.Float))


def _spelled(row: Tuple, doubles: tuple[int, ...]) -> Tuple:
    values = list(row)
    for place in doubles:
        value = values[place]
        if isinstance(value, float) and not math.isfinite(value):
            values[place] = "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return tuple(values)


def _meant(row: Tuple, doubles: tuple[int, ...]) -> Tuple:
    values = list(row)
    for place in doubles:
        values[place] = _NOT_JSON.get(values[place], values[place])
    return tuple(values)
