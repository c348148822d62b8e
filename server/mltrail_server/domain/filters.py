"""MLflow's filter language: `metrics.loss < 0.3 AND params."lr" = '1e-3' AND tags.team LIKE 'gr%'`.

https://mlflow.org/docs/latest/ml/search/search-runs/
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum
from typing import TypeVar

from .errors import MltrailError, invalid
from .filter_tokens import Token, cut, wrong
from .reasons import Reason


class Entity(StrEnum):
    METRIC = "metric"
    PARAM = "param"
    TAG = "tag"
    ATTRIBUTE = "attribute"
    DATASET = "dataset"


Value = str | float | tuple[str, ...] | None
E = TypeVar("E")
Split = Callable[[str, Token], tuple[E, str]]
"""Splits a name of a filter, whose text comes first, into the kind of thing and its key."""


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
# More than people write and less than a database refuses: SQLite joins 64 tables and nests 1,000 conditions.
MAX_CLAUSES = 50
MAX_ORDERS = 20
MAX_LIST = 10_000
MAX_PATTERN = 2_000
MAX_WILDCARDS = 10
"""For each `%` a database may try every position in a value again."""


def parse(text: str) -> tuple[Clause, ...]:
    """Read a filter. An empty one matches everything. Raises INVALID, saying what is wrong and where,
    with an example.
    """
    return tuple(Clause(*comparison) for comparison in comparisons(text, _split))


def comparisons(
    text: str, split: Split[E], *, patterns: Sequence[str] = ("LIKE", "ILIKE")
) -> list[tuple[E, str, str, Value]]:
    """Read a filter on other things, whose names `split` knows: entity, key, operator and value of each comparison.
    `patterns` are the operators that take a pattern.
    """
    if not text:
        return []
    reader = _Reader(text, patterns)
    found: list[tuple[E, str, str, Value]] = []
    while not reader.at_end():
        if found:
            reader.take_and()
        if len(found) == MAX_CLAUSES:
            raise invalid(f"The filter has more than {MAX_CLAUSES} comparisons; use fewer, or several searches.")
        found.append(reader.comparison(split))
    return found


def parse_orders(texts: Sequence[str]) -> list[Order]:
    """Read `order_by`; empty elements are ignored."""
    return [parse_order(text) for text in not_empty(texts)]


def not_empty(texts: Sequence[str]) -> list[str]:
    """Leave out the empty elements of `order_by`. Raises INVALID if too many are left."""
    given = [text for text in texts if text.strip()]
    if len(given) > MAX_ORDERS:
        raise invalid(Reason.TOO_MANY_ORDERS, given=len(given), most=MAX_ORDERS)
    return given


def parse_order(text: str) -> Order:
    """Read one `order_by` element, for example `metrics.loss ASC`; ascending unless it says DESC."""
    return Order(*ordering(text, _split))


def ordering(text: str, split: Split[E]) -> tuple[E, str, bool]:
    """Read one `order_by` element on other things: entity, key, and whether it is descending."""
    try:
        tokens = cut(text)
        entity, key = split(text, tokens[0])
    except MltrailError as error:
        if error.reason is not Reason.FILTER:
            raise
        raise _bad_order(text, f"at character {error.facts['at']}: {error.facts['what']}") from error
    rest = [token.word for token in tokens[1:-1]]
    if rest not in ([], ["ASC"], ["DESC"]):
        raise _bad_order(
            text,
            f"only ASC or DESC can follow the name, not {text[tokens[1].start :].strip()!r}; give one name each",
        )
    return entity, key, rest == ["DESC"]


class _Reader:
    """Reads clauses off the tokens of one filter."""

    def __init__(self, text: str, patterns: Sequence[str]) -> None:
        self._text = text
        self._patterns = patterns
        self._tokens = cut(text)
        self._place = 0

    def at_end(self) -> bool:
        return self._now.kind == "end"

    def take_and(self) -> None:
        token = self._take()
        if token.word == "OR":
            raise self._wrong(token, "OR is not supported: make one search for each side and combine the results")
        if token.word != "AND":
            raise self._wrong(token, f"expected AND, not {token.text!r}")
        if self.at_end():
            raise self._wrong(token, f"nothing follows {token.text!r}")

    def comparison(self, split: Split[E]) -> tuple[E, str, str, Value]:
        name = self._take()
        if name.text == "(":
            raise self._wrong(name, "parentheses are only for the list of IN; join comparisons with AND")
        if name.word in ("AND", "OR"):
            raise self._wrong(name, f"a comparison is missing before {name.text!r}")
        if name.word == "NOT":
            raise self._wrong(name, "NOT is only for NOT IN and IS NOT NULL; use != for the opposite of =")
        entity, key = split(self._text, name)
        operator = self._operator()
        if operator in ("IS NULL", "IS NOT NULL"):
            return entity, key, operator, None
        return entity, key, operator, self._list() if operator in ("IN", "NOT IN") else self._value()

    def _operator(self) -> str:
        token = self._take()
        if token.kind == "operator":
            return token.text
        if token.word == "IN" or token.word in self._patterns:
            return token.word
        if token.word == "NOT" and self._now.word == "IN":
            self._take()
            return "NOT IN"
        if token.word == "IS":
            words = [self._take().word]
            if words == ["NOT"]:
                words.append(self._take().word)
            if words in (["NULL"], ["NOT", "NULL"]):
                return " ".join(["IS", *words])
        if token.kind == "end":
            raise self._wrong(token, "a comparison is missing after the last name")
        if token.word == "BETWEEN":
            raise self._wrong(token, "BETWEEN is not supported: write >= and <= with AND between them")
        raise self._wrong(
            token,
            f"{token.text!r} is not a comparison; use = != > >= < <= {' '.join(self._patterns)} IN, NOT IN, IS NULL or "
            "IS NOT NULL",
        )

    def _value(self) -> str | float:
        token = self._take()
        if token.kind == "text":
            return token.text[1:-1]
        if token.kind == "number":
            return float(token.text)
        if token.kind == "end":
            raise self._wrong(token, "a value is missing at the end")
        if token.kind == "name":
            quoted = f"; put text in quotes: '{token.text}'" if "'" not in token.text else ""
            raise self._wrong(token, f"expected a number or text in quotes, not {token.text!r}{quoted}")
        raise self._wrong(token, f"expected a number or text in quotes, not {token.text!r}")

    def _list(self) -> tuple[str, ...]:
        opening = self._take()
        if opening.text != "(":
            raise self._wrong(opening, "IN needs a list in parentheses, for example IN ('a', 'b')")
        values: list[str] = []
        # A comma may follow the last element, as in MLflow.
        while not values or self._now.text != ")":
            start = self._now
            value = self._value()
            if not isinstance(value, str):
                raise self._wrong(start, f"the list of IN takes text in quotes: write '{start.text}'")
            values.append(value)
            if len(values) > MAX_LIST:
                raise invalid(f"The list of IN has more than {MAX_LIST} elements; use several searches.")
            if self._now.text == ")":
                break
            comma = self._take()
            if comma.text != ",":
                raise self._wrong(comma, "the list of IN is not closed; write , or ) after each element")
        self._take()
        return tuple(values)

    @property
    def _now(self) -> Token:
        return self._tokens[self._place]

    def _take(self) -> Token:
        token = self._now
        if token.kind != "end":
            self._place += 1
        return token

    def _wrong(self, token: Token, what: str) -> MltrailError:
        return wrong(self._text, token.start, what)


def name_of(text: str, token: Token) -> tuple[str, str]:
    """Split `params."a b"` into prefix and key. A bare name, which may be in double quotes, has the prefix ""."""
    if token.kind == "text" and token.text[0] == '"' and len(token.text) > len('""'):
        return "", token.text[1:-1]
    if token.kind != "name":
        what = "a name such as metrics.loss is missing" if token.kind == "end" else f"{token.text!r} is not a name"
        raise wrong(text, token.start, f"{what}; each comparison begins with a name")
    if token.text[0] == "`":
        prefix, _, key = token.text[1:].partition("`")
        dot, key = key[:1], key[1:]
    else:
        prefix, dot, key = token.text.partition(".")
    if not dot:
        if not prefix:
            raise wrong(text, token.start, f"{token.text!r} names nothing")
        return "", prefix
    if not prefix:
        raise wrong(text, token.start, f"{token.text!r} begins with nothing")
    return prefix, _unquoted(key)


def _split(text: str, token: Token) -> tuple[Entity, str]:
    """Split a name of a search for runs; a bare one is an attribute."""
    prefix, key = name_of(text, token)
    if not prefix:
        return Entity.ATTRIBUTE, key
    entity = _PREFIXES.get(prefix)
    if entity is None:
        guess = get_close_matches(prefix.lower(), _PREFIXES, n=1, cutoff=0.6)
        hint = f"did you mean {guess[0]}.{key}?" if guess else "use metrics, params, tags, attributes or datasets"
        raise wrong(text, token.start, f"{token.text!r} begins with {prefix!r}; {hint}")
    if not key:
        raise wrong(text, token.start, f"{token.text!r} names no key")
    return entity, key


def _unquoted(key: str) -> str:
    return key[1:-1] if key[:1] in ("`", "'", '"') else key


def _bad_order(text: str, why: str) -> MltrailError:
    return invalid(Reason.ORDER, text=text, why=why)
