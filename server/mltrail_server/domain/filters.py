"""MLflow's filter language: `metrics.loss < 0.3 AND params."lr" = '1e-3' AND tags.team LIKE 'gr%'`.

https://mlflow.org/docs/latest/ml/search/search-runs/
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from .errors import MltrailError, invalid


class Entity(StrEnum):
    METRIC = "metric"
    PARAM = "param"
    TAG = "tag"
    ATTRIBUTE = "attribute"
    DATASET = "dataset"


Value = str | float | tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class Clause:
    """One comparison. `operator` is upper case; the value of IN is a tuple, of IS NULL it is None."""

    entity: Entity
    key: str
    operator: str
    value: Value


@dataclass(frozen=True, slots=True)
class Order:
    entity: Entity
    key: str
    descending: bool


_PREFIXES = {
    "metric": Entity.METRIC,
    "metrics": Entity.METRIC,
    "param": Entity.PARAM,
    "params": Entity.PARAM,
    "parameter": Entity.PARAM,
    "parameters": Entity.PARAM,
    "tag": Entity.TAG,
    "tags": Entity.TAG,
    "attribute": Entity.ATTRIBUTE,
    "attributes": Entity.ATTRIBUTE,
    "attr": Entity.ATTRIBUTE,
    "run": Entity.ATTRIBUTE,
    "dataset": Entity.DATASET,
    "datasets": Entity.DATASET,
}

_TOKEN = re.compile(
    r"""\s*(?:
        (?P<name>[^\W\d][\w]*(?:\.(?:[\w\-]+|`[^`]*`|"[^"]*"))*|`[^`]*`)
      | (?P<number>[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?(?![\w.]))
      | (?P<text>'(?:[^'])*'|"(?:[^"])*")
      | (?P<operator>!=|>=|<=|=|>|<)
      | (?P<mark>[(),])
    )""",
    re.VERBOSE,
)
# More than people write and less than a database refuses: SQLite joins 64 tables and nests 1,000 conditions.
MAX_CLAUSES = 100
MAX_ORDERS = 20
MAX_LIST = 10_000
_EXAMPLE = "write for example: metrics.accuracy > 0.9 AND params.model = 'tree'"
_LAST_WORD = re.compile(r"\s+(?P<word>[A-Za-z]+)\s*$")


def parse(text: str) -> tuple[Clause, ...]:
    """Read a filter. An empty one matches everything. Raises INVALID with what is wrong and an example."""
    tokens = _tokens(text)
    clauses: list[Clause] = []
    position = 0
    while position < len(tokens):
        if clauses:
            if _word(tokens, position) != "AND":
                raise _wrong(text, f"expected AND before {tokens[position][1]!r}")
            position += 1
        if len(clauses) == MAX_CLAUSES:
            raise invalid(f"The filter has more than {MAX_CLAUSES} comparisons; use fewer, or several searches.")
        clause, position = _clause(text, tokens, position)
        clauses.append(clause)
        if position == len(tokens) - 1:
            raise _wrong(text, f"nothing follows {tokens[position][1]!r}")
    return tuple(clauses)


def parse_orders(texts: Sequence[str]) -> list[Order]:
    """Read `order_by`; empty elements are passed over."""
    orders = [parse_order(text) for text in texts if text.strip()]
    if len(orders) > MAX_ORDERS:
        raise invalid(f"order_by has {len(orders)} elements; at most {MAX_ORDERS} are possible.")
    return orders


def parse_order(text: str) -> Order:
    """Read one `order_by` element, for example `metrics.loss ASC`; ascending unless it says DESC."""
    rest, descending = text.strip(), False
    if found := _LAST_WORD.search(rest):
        word = found["word"].upper()
        if word not in ("ASC", "DESC"):
            raise invalid(f"Invalid order_by clause '{text}': it may end in ASC or DESC, not in {found['word']!r}.")
        rest, descending = rest[: found.start()].strip(), word == "DESC"
    entity, key = split_name(rest, text)
    return Order(entity, key, descending)


def split_name(name: str, text: str) -> tuple[Entity, str]:
    """Split `params."a b"` into the kind of thing and its key; a bare name is an attribute."""
    prefix, dot, key = name.partition(".")
    entity = _PREFIXES.get(prefix.lower())
    if not dot or name[0] in '`"':
        return Entity.ATTRIBUTE, _unquoted(name)
    if entity is None:
        kinds = "metrics, params, tags, attributes or datasets"
        raise _wrong(text, f"{name!r} begins with {prefix!r}, which is none of {kinds}")
    key = _unquoted(key)
    if not key:
        raise _wrong(text, f"{name!r} names no key")
    return entity, key


def _tokens(text: str) -> list[tuple[str, str]]:
    tokens: list[tuple[str, str]] = []
    position = 0
    stripped = text.rstrip()
    while position < len(stripped):
        match = _TOKEN.match(stripped, position)
        if match is None or match.lastgroup is None:
            raise _wrong(text, f"can't read it from {stripped[position:].strip()[:30]!r} on")
        tokens.append((match.lastgroup, match[match.lastgroup]))
        position = match.end()
    return tokens


def _clause(text: str, tokens: list[tuple[str, str]], position: int) -> tuple[Clause, int]:
    kind, name = tokens[position]
    if kind != "name":
        raise _wrong(text, f"expected a name such as metrics.loss, not {name!r}")
    entity, key = split_name(name, text)
    position += 1
    operator, position = _operator(text, tokens, position)
    if operator in ("IS NULL", "IS NOT NULL"):
        return Clause(entity, key, operator, None), position
    value, position = _value(text, tokens, position, many=operator.endswith("IN"))
    return Clause(entity, key, operator, value), position


def _operator(text: str, tokens: list[tuple[str, str]], position: int) -> tuple[str, int]:
    if position >= len(tokens):
        raise _wrong(text, "a comparison is missing after the last name")
    kind, token = tokens[position]
    if kind == "operator":
        return token, position + 1
    word = _word(tokens, position)
    if word in ("LIKE", "ILIKE", "IN"):
        return word, position + 1
    if word == "NOT" and _word(tokens, position + 1) == "IN":
        return "NOT IN", position + 2
    if word == "IS":
        if _word(tokens, position + 1) == "NULL":
            return "IS NULL", position + 2
        if (_word(tokens, position + 1), _word(tokens, position + 2)) == ("NOT", "NULL"):
            return "IS NOT NULL", position + 3
    raise _wrong(text, f"{token!r} is no comparison")


def _value(text: str, tokens: list[tuple[str, str]], position: int, *, many: bool) -> tuple[Value, int]:
    if not many:
        return _single(text, tokens, position), position + 1
    if _at(tokens, position) != ("mark", "("):
        raise _wrong(text, "IN wants a list in parentheses")
    values: list[str] = []
    while True:
        value = _single(text, tokens, position + 1)
        if not isinstance(value, str):
            raise _wrong(text, "the list of IN holds quoted texts")
        values.append(value)
        if len(values) > MAX_LIST:
            raise invalid(f"The list of IN holds more than {MAX_LIST} texts; use several searches.")
        position += 2
        if _at(tokens, position) == ("mark", ")"):
            return tuple(values), position + 1
        if _at(tokens, position) != ("mark", ","):
            raise _wrong(text, "the list of IN is not closed")


def _single(text: str, tokens: list[tuple[str, str]], position: int) -> str | float:
    kind, token = _at(tokens, position)
    if kind == "text":
        return token[1:-1]
    if kind == "number":
        return float(token)
    raise _wrong(
        text, f"expected a number or a quoted text, not {token!r}" if token else "a value is missing at the end"
    )


def _at(tokens: list[tuple[str, str]], position: int) -> tuple[str, str]:
    return tokens[position] if position < len(tokens) else ("", "")


def _word(tokens: list[tuple[str, str]], position: int) -> str:
    kind, token = _at(tokens, position)
    return token.upper() if kind == "name" else ""


def _unquoted(key: str) -> str:
    return key[1:-1] if len(key) >= 2 and key[0] == key[-1] and key[0] in '`"' else key


def _wrong(text: str, what: str) -> MltrailError:
    return invalid(f"Invalid clause(s) in filter string '{text}': {what}; {_EXAMPLE}")
