"""The filter language: https://mlflow.org/docs/latest/ml/search/search-runs/."""

import re
from collections.abc import Callable
from typing import TypeVar

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mltrail_server.domain.errors import Code, MltrailError
from mltrail_server.domain.filter_text import written, written_order
from mltrail_server.domain.filters import Clause, Entity, Order, parse, parse_order, parse_orders

T = TypeVar("T")
WORDS = st.sampled_from(
    ["loss", "val/loss", "a b", "a.b", "a-b", "Ünï", "and", "desc", "x`y", 'x"y', "it's", "1", "é…"]
)
KEYS = st.one_of(WORDS, st.text(min_size=1, max_size=20)).filter(lambda key: any(quote not in key for quote in "`\"'"))
TEXTS = st.text(max_size=30).filter(
    lambda text: any(quote not in text.replace(quote * 2, "") for quote in "'\"")
) | st.sampled_from(["", "it's", "it''s", 'say "x"', "\\", "%_", " AND ", "a\nb", "\x00"])
NUMBERS = st.floats(allow_nan=False)
ENTITIES = st.sampled_from(Entity)


def clauses() -> st.SearchStrategy[Clause]:
    none = st.builds(Clause, ENTITIES, KEYS, st.sampled_from(["IS NULL", "IS NOT NULL"]), st.none())
    one = st.builds(
        Clause, ENTITIES, KEYS, st.sampled_from(["=", "!=", "<", "<=", ">", ">=", "LIKE", "ILIKE"]), TEXTS | NUMBERS
    )
    many = st.builds(
        Clause,
        ENTITIES,
        KEYS,
        st.sampled_from(["IN", "NOT IN"]),
        st.lists(TEXTS, min_size=1, max_size=4).map(tuple),
    )
    return st.one_of(none, one, many)


@given(st.lists(clauses(), max_size=5))
def test_what_is_written_is_read_as_it_was(given: list[Clause]) -> None:
    text = written(given)
    read = parse(text)
    assert read == tuple(given)
    assert written(read) == text


@given(ENTITIES, KEYS, st.booleans())
def test_an_order_that_is_written_is_read_as_it_was(entity: Entity, key: str, descending: bool) -> None:
    order = Order(entity, key, descending)
    text = written_order(order)
    assert parse_order(text) == order
    assert written_order(parse_order(text)) == text


PIECES = st.sampled_from(
    [
        *("metrics.", "params", "tags.a", "loss", "metric", "`", '"', "'", "(", ")", ",", ".", ";", " ", "\n"),
        *("=", "==", "!=", "<", "AND", "OR", "NOT", "IN", "IS", "NULL", "LIKE"),
        *("1", "-1e5", "'x'", '"x"', "`a b`", "é", "\x00", "\\"),
    ]
)


@given(st.lists(PIECES, max_size=12).map("".join) | st.lists(PIECES, max_size=12).map(" ".join) | st.text(max_size=40))
@example("metrics.a = 1 AND")
@example("'")
@example("``")
@example('""')
@example("`` = 1")
def test_any_text_is_read_or_refused_with_the_place(text: str) -> None:
    read = attempt(lambda: parse(text))
    if isinstance(read, MltrailError):
        assert read.code is Code.INVALID
        where = re.search(r"at character (\d+): ", read.message)
        assert where is not None
        assert 1 <= int(where[1]) <= len(text) + 1
    else:
        assert parse(written(read)) == read
    order = attempt(lambda: parse_order(text))
    if isinstance(order, MltrailError):
        assert order.code is Code.INVALID
        assert "Write for example" in order.message
    else:
        assert parse_order(written_order(order)) == order


def attempt(call: Callable[[], T]) -> T | MltrailError:
    try:
        return call()
    except MltrailError as error:
        return error


@pytest.mark.parametrize(
    ("text", "place", "says"),
    [
        ("metrics.loss == 1", 14, "write = instead of =="),
        ("metrics.loss <> 1", 14, "write != instead of <>"),
        ("metrics.loss => 1", 14, "write >= instead of =>"),
        ("metrics.a > 1 && metrics.b > 1", 15, "write AND instead of &&"),
        ("metrics.a > 1 OR metrics.b > 1", 15, "OR is not supported"),
        ("NOT metrics.a > 1", 1, "use != for the opposite"),
        ("(metrics.a > 1)", 1, "parentheses are only for the list of IN"),
        ("metrics.a BETWEEN 1 AND 2", 11, "write >= and <= with AND"),
        ("params.model = tree", 16, "put text in quotes: 'tree'"),
        ("metics.loss > 1", 1, "did you mean metrics.loss?"),
        ("Metrics.loss > 1", 1, "did you mean metrics.loss?"),
        ("parms.lr = '1'", 1, "did you mean params.lr?"),
        ("nonsense.lr = '1'", 1, "use metrics, params, tags, attributes or datasets"),
        ("metrics.val/loss > 1", 12, "put a name that contains '/' in backticks"),
        ("params.a = 'x' params.b = 'y'", 16, "expected AND"),
        ("params.a = 'it", 12, "the quote ' is not closed"),
        ("metrics.a > 1 AND", 15, "nothing follows 'AND'"),
        ("AND metrics.a > 1", 1, "missing before 'AND'"),
        ("metrics.a > 1 AND AND metrics.b > 1", 19, "missing before 'AND'"),
        ("metrics.a >", 12, "a value is missing"),
        ("metrics.a", 10, "a comparison is missing"),
        ("run_id IN ('a', 1)", 17, "write '1'"),
        ("run_id IN 'a'", 11, "needs a list in parentheses"),
        ("run_id IN ('a' 'b')", 16, "write , or )"),
        ("metrics.a = 1;", 14, "without ';'"),
        ("0.5 < metrics.a", 1, "'0.5' is not a name"),
        ("metrics. > 1", 8, "a name is missing before or after '.'"),
    ],
)
def test_an_error_names_the_place_and_what_to_write(text: str, place: int, says: str) -> None:
    with pytest.raises(MltrailError) as caught:
        parse(text)
    assert f"at character {place}: " in caught.value.message
    assert says in caught.value.message
    assert "write for example: metrics.accuracy > 0.9" in caught.value.message


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("metrics.a DOWN", "only ASC or DESC can follow the name, not 'DOWN'"),
        ("metrics.a ASC DESC", "not 'ASC DESC'"),
        ("params.a b DESC", "not 'b DESC'"),
        ("metrics.val/loss", "metrics.`val/loss`"),
        ("metrics.a, metrics.b", "give one name each"),
        ("metric.", "a name is missing"),
        ("mertics.a", "did you mean metrics.a?"),
    ],
)
def test_an_order_that_is_wrong_says_what_to_do(text: str, says: str) -> None:
    with pytest.raises(MltrailError, match=re.escape(says)):
        parse_order(text)


@pytest.mark.parametrize("text", [f"metrics.a > {'1' * 400_000}x", f"metrics.a > {'1' * 400_000}.5.", "'" * 400_001])
def test_a_long_filter_that_is_wrong_is_refused_in_one_pass(text: str) -> None:
    # Tried in every way to part the digits, this would take an hour.
    with pytest.raises(MltrailError, match="The filter is wrong at character"):
        parse(text)


def test_filters_and_orders_have_a_longest() -> None:
    with pytest.raises(MltrailError, match="longer than 500000 characters"):
        parse("a" * 500_001)
    with pytest.raises(MltrailError, match="at most 20"):
        parse_orders(["?" * 1000] * 21)


@pytest.mark.parametrize("name", ["run_name", "`run_name`", '"run_name"', "attributes.'run_name'", 'run."run_name"'])
def test_all_quotes_of_a_name_mean_the_same(name: str) -> None:
    assert parse(f"{name} = 'x'") == (Clause(Entity.ATTRIBUTE, "run_name", "=", "x"),)
    assert parse_order(f"{name}DESC" if name[-1] in "`'\"" else f"{name} DESC").descending


def test_a_doubled_quote_is_two_characters_as_in_mlflow() -> None:
    assert parse("params.a = 'it''s'")[0].value == "it''s"
    assert parse('params.a = "it\'s"')[0].value == "it's"
    with pytest.raises(ValueError, match="both kinds"):
        written([Clause(Entity.PARAM, "a", "=", 'it\'s "x"')])
    with pytest.raises(ValueError, match="all kinds"):
        written([Clause(Entity.PARAM, "`'\"", "=", "x")])
