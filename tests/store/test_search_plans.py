"""Every way to a page of candidates gives the same page, and none reads a whole table."""

import random
from dataclasses import replace
from itertools import pairwise

import pytest
from sqlalchemy import event

from mltrail_server.domain.candidate import Point, Stage
from mltrail_server.domain.errors import MltrailError
from mltrail_server.domain.filters import parse, parse_orders
from mltrail_server.services.context.deps import Scope
from mltrail_server.services.tracking import candidates, experiments
from mltrail_server.store.tracking import candidate_tags, contents, metric_keys, metrics, params, search
from mltrail_server.store.tracking.search import Sizes

WALK = Sizes(few=-1, small=-1)
FEW = Sizes(few=10_000, small=-1)
SORT = Sizes(few=-1, small=10_000)
NAN = float("nan")
BACKENDS = ("sqlite",)  # the plans below are SQLite's


@pytest.fixture
def scope(scope: Scope) -> Scope:
    random_ = random.Random(3)
    for name in ("one", "two"):
        experiments.create(scope, name=name)
    for number in range(60):
        run(scope, number, random_)
    return scope


def run(scope: Scope, number: int, random_: random.Random, *, started_ms: int | None = None) -> str:
    """Begin a run with values that are often equal, NaN, or missing."""
    started = 1000 + number // 4 if started_ms is None else started_ms
    made = candidates.create(scope, experiment_iid=1 + number % 2, name=f"r{number % 7}", started_ms=started).candidate
    with scope.project.write() as tx:
        points = [
            Point(key, random_.choice([NAN, 0.0, 0.5, 0.5, -1.0, 1.7e308, -1.7e308]), 1, 0)
            for key in ("loss", "acc")
            if random_.random() < 0.8
        ]
        numbers = metric_keys.make(tx, {point.key for point in points}, known={})
        metrics.append(tx, made.iid, points, numbers=numbers)
        if random_.random() < 0.8:
            params.add(tx, made.iid, {"lr": random_.choice(["1", "2", "x" * 40, "x" * 40 + "y"])})
        if random_.random() < 0.8:
            candidate_tags.put(tx, made.iid, {"team": random_.choice(["a", "b", ""])})
    if random_.random() < 0.2:
        candidates.change_stage(scope, made.eid, Stage.DELETED)
    return made.eid


FILTERS = [
    "",
    "metrics.loss >= 0",
    "metrics.loss = 0.5",
    "metrics.loss != 0.5",
    "metrics.unknown > 0",
    "params.lr = '1'",
    f"params.lr = '{'x' * 40}'",
    "params.lr IS NULL AND tags.team != 'a'",
    "tags.team = 'a' AND metrics.acc < 1",
    "params.lr LIKE 'x%'",
    "params.lr LIKE 'X%'",
    "params.lr ILIKE 'X%'",
    f"params.lr LIKE '{'x' * 40}_'",
    "tags.team LIKE 'a'",
    "tags.team LIKE '_'",
    "params.lr = '1' AND tags.team LIKE 'b%' AND metrics.acc < 1",
    "run_name = 'r3'",
    "run_id IN ('nobody')",
]
ORDERS: list[list[str]] = [
    [],
    ["start_time DESC"],
    ["start_time"],
    ["metrics.loss"],
    ["metrics.loss DESC"],
    ["metrics.loss DESC", "params.lr"],
    ["metrics.unknown DESC"],
    ["metrics.loss", "metrics.acc DESC", "start_time"],
    ["params.lr DESC", "metrics.acc"],
    ["end_time", "tags.team"],
    ["run_name DESC"],
]


def pages(scope: Scope, filter_text: str, order_by: list[str], sizes: Sizes, limit: int, **where: object) -> list[str]:
    found: list[str] = []
    token: str | None = None
    while token is not None or not found:
        page = ask(scope, filter_text, order_by, sizes=sizes, limit=limit, token=token, **where)
        found += [one.eid for one in page.candidates]
        token = page.next_token
        assert token is None or len(page.candidates) == limit
        if token is None:
            break
    return found


def ask(scope: Scope, filter_text: str, order_by: list[str], **options: object) -> search.FoundCandidates:
    asked = {"experiment_iids": [1, 2], "stages": (Stage.ACTIVE,), "limit": 5, "token": None} | options
    with scope.project.read() as tx:
        return search.search(tx, clauses=parse(filter_text), orders=parse_orders(order_by), **asked)


@pytest.mark.parametrize("order_by", ORDERS, ids=str)
def test_all_ways_give_the_same_pages(scope: Scope, order_by: list[str]) -> None:
    for filter_text in FILTERS:
        expected = pages(scope, filter_text, order_by, SORT, 1000)
        assert len(set(expected)) == len(expected)
        for sizes in (WALK, FEW, SORT):
            assert pages(scope, filter_text, order_by, sizes, 7) == expected, (filter_text, sizes)
    everything = (Stage.ACTIVE, Stage.DELETED)
    expected = pages(scope, "", order_by, SORT, 1000, stages=everything)
    assert len(expected) == 60
    assert pages(scope, "", order_by, WALK, 4, stages=everything) == expected


@pytest.mark.parametrize("order_by", ORDERS, ids=str)
@pytest.mark.parametrize("sizes", [WALK, FEW, SORT], ids=str)
def test_a_page_with_what_was_logged_is_the_same_page(scope: Scope, order_by: list[str], sizes: Sizes) -> None:
    for filter_text in ("", "metrics.loss > 0.3"):
        found = ask(scope, filter_text, order_by, sizes=sizes, limit=11, logged=scope.deps.metric_key_cache)
        assert replace(found, logged={}) == ask(scope, filter_text, order_by, sizes=sizes, limit=11)
        with scope.project.read() as tx:
            assert found.logged == contents.of(tx, [one.iid for one in found.candidates])
        assert len(found.candidates) == 11
        assert any(one.metrics.rows for one in found.logged.values())


@pytest.mark.parametrize("order_by", ORDERS, ids=str)
@pytest.mark.parametrize("sizes", [WALK, FEW, SORT], ids=str)
def test_a_usual_search_is_built_once_and_finds_the_same(scope: Scope, order_by: list[str], sizes: Sizes) -> None:
    long = "x" * 40
    filters = [*FILTERS, "metrics.loss = 0", "metrics.loss != -1", "params.lr = '2'", f"params.lr = '{long}y'"]
    filters += ["params.lr != '1'", "tags.team = ''", "metrics.loss > 0 AND params.lr = '2'", "params.lr LIKE 'x%'"]
    for filter_text in (*filters, *filters):
        asked = {"sizes": sizes, "limit": 9, "experiment_iids": [1]}
        found = ask(scope, filter_text, order_by, logged=scope.deps.metric_key_cache, **asked)
        built = ask(scope, filter_text, order_by, **asked)
        assert replace(found, logged={}) == built, filter_text
        if found.next_token:
            token = found.next_token
            following = ask(scope, filter_text, order_by, logged=scope.deps.metric_key_cache, token=token, **asked)
            assert following.candidates == ask(scope, filter_text, order_by, token=token, **asked).candidates


@pytest.mark.parametrize("order_by", [[], ["metrics.loss"], ["metrics.loss DESC"], ["params.lr"]], ids=str)
@pytest.mark.parametrize("sizes", [WALK, SORT], ids=str)
def test_runs_that_are_added_between_pages_neither_shift_nor_repeat_any(
    scope: Scope, order_by: list[str], sizes: Sizes
) -> None:
    there = pages(scope, "", order_by, sizes, 1000)
    random_ = random.Random(5)
    found: list[str] = []
    token: str | None = None
    for number in range(100):
        page = ask(scope, "", order_by, sizes=sizes, limit=6, token=token)
        found += [one.eid for one in page.candidates]
        token = page.next_token
        if token is None:
            break
        run(scope, number, random_, started_ms=random_.choice([900, 1005, 2000]))
    assert len(set(found)) == len(found)
    assert [eid for eid in found if eid in set(there)] == there


@pytest.mark.parametrize("order_by", ORDERS, ids=str)
def test_no_experiments_hold_no_runs(scope: Scope, order_by: list[str]) -> None:
    for sizes in (WALK, FEW, SORT):
        found = ask(scope, "metrics.loss > 0", order_by, sizes=sizes, experiment_iids=[])
        assert found == search.FoundCandidates([], None)


def test_a_token_of_another_search_is_refused(scope: Scope) -> None:
    token = ask(scope, "", ["metrics.loss"]).next_token
    for other in (
        {"order_by": ["metrics.loss DESC"]},
        {"order_by": []},
        {"filter_text": "metrics.loss > 0"},
        {"experiment_iids": [1]},
        {"stages": (Stage.DELETED,)},
    ):
        asked = {"filter_text": "", "order_by": ["metrics.loss"]} | other
        with pytest.raises(MltrailError, match="belongs to another search"):
            ask(scope, token=token, **asked)
    # How long a page is may change on the way, and how the experiments are listed.
    assert ask(scope, "", ["metrics.loss"], token=token, limit=50, experiment_iids=[2, 1]).candidates


@pytest.mark.parametrize(
    ("filter_text", "order_by", "sizes", "walks"),
    [
        ("", [], WALK, "candidate USING INDEX ix_candidate_newest (project_id=? AND experiment_iid=? AND stage=?)"),
        (
            "params.lr = '1'",
            ["start_time DESC"],
            WALK,
            "candidate USING INDEX ix_candidate_newest (project_id=? AND experiment_iid=? AND stage=?)",
        ),
        (
            "",
            ["metrics.loss DESC"],
            WALK,
            "latest_metric USING COVERING INDEX ix_latest_metric_value (project_id=? AND key_id=? AND is_nan=?)",
        ),
        (
            "params.lr = '1' AND metrics.acc > 0",
            ["metrics.loss"],
            WALK,
            "latest_metric USING COVERING INDEX ix_latest_metric_value (project_id=? AND key_id=? AND is_nan=?)",
        ),
        (
            "tags.team = 'a'",
            [],
            FEW,
            "candidate_tag USING INDEX ix_candidate_tag_indexed_value (project_id=? AND key=?",
        ),
        ("params.lr = '1'", ["metrics.loss"], FEW, "param USING INDEX ix_param_value (project_id=? AND key=?"),
        (
            "tags.team LIKE 'a%'",
            [],
            FEW,
            "candidate_tag USING INDEX ix_candidate_tag_indexed_value (project_id=? AND key=? AND value_start>? AND",
        ),
        (
            "metrics.loss > 0",
            [],
            FEW,
            "latest_metric USING COVERING INDEX ix_latest_metric_value (project_id=? AND key_id=? AND is_nan=?",
        ),
        (
            "metrics.loss = 0.5",
            [],
            FEW,
            "latest_metric USING COVERING INDEX ix_latest_metric_value (project_id=? AND key_id=? AND is_nan=?",
        ),
        ("run_id = 'x'", [], FEW, "candidate USING INDEX sqlite_autoindex_candidate_2 (project_id=? AND eid=?)"),
    ],
)
def test_a_search_walks_an_index_and_never_a_table(
    scope: Scope, plans: list[str], filter_text: str, order_by: list[str], sizes: Sizes, walks: str
) -> None:
    page = ask(scope, filter_text, order_by, sizes=sizes, experiment_iids=[1])
    if page.next_token:
        ask(scope, filter_text, order_by, sizes=sizes, experiment_iids=[1], token=page.next_token)
    assert any(f"SEARCH {walks}" in line for line in plans), plans
    for line in plans:
        assert not line.startswith(("SCAN candidate", "SCAN latest", "SCAN param", "SCAN metric")), plans
        assert not line.endswith("(project_id=?)"), plans


def test_the_newest_and_the_best_are_not_sorted(scope: Scope, plans: list[str]) -> None:
    ask(scope, "", [], sizes=WALK, experiment_iids=[1])
    assert "USE TEMP B-TREE FOR ORDER BY" not in plans
    ask(scope, "", ["metrics.loss DESC"], sizes=WALK, limit=2)
    assert "USE TEMP B-TREE FOR ORDER BY" not in plans


OTHER_PROJECTS = [
    f"INSERT INTO {table} (project_id, candidate_iid, {columns}) SELECT 1000 + n, n, {values} "
    "FROM generate_series(1, 3000) n"
    for table, columns, values in (
        ("latest_metric", "key_id, value, is_nan, step, timestamp_ms", "1000 + n, 0.5, false, 1, 1"),
        ("param", "key, value", "'key ' || n, '1'"),
        ("candidate_tag", "key, value", "'key ' || n, '1'"),
    )
]


@pytest.mark.usefixtures("never_used")
@pytest.mark.parametrize("backend", ["postgresql"])
@pytest.mark.parametrize("generic", [True, False])
@pytest.mark.parametrize(
    ("filter_text", "order_by"),
    [
        ("metrics.loss > 0 AND params.lr = '1' AND tags.team != 'b'", []),
        ("metrics.loss != 0.5 AND params.lr IS NOT NULL", ["metrics.acc", "params.lr"]),
        ("params.lr IS NULL", ["metrics.loss DESC", "tags.team"]),
    ],
)
@pytest.mark.parametrize("sizes", [WALK, FEW, SORT], ids=str)
def test_whatever_other_projects_hold_each_candidate_is_looked_up_by_its_key(
    scope: Scope, generic: bool, filter_text: str, order_by: list[str], sizes: Sizes
) -> None:
    """Here PostgreSQL believes that no project has more than a few rows of a metric."""
    plans: list[str] = []

    def explain(_connection: object, _cursor: object, sql: str, given: object, *_: object) -> None:
        if "candidate.eid" in sql:
            asked = tx.connection.connection.cursor()
            asked.execute(f"EXPLAIN {sql}", given)
            plans.extend(row[0].strip() for row in asked.fetchall())

    with scope.project.write() as tx:
        for statement in (
            *OTHER_PROJECTS,
            "ANALYZE latest_metric, param, candidate_tag",
            "SET LOCAL enable_seqscan = off",
            f"SET LOCAL plan_cache_mode = force_{'generic' if generic else 'custom'}_plan",
        ):
            tx.connection.exec_driver_sql(statement)
        event.listen(scope.deps.db.engine, "before_cursor_execute", explain)
        try:
            asked = {"experiment_iids": [1], "stages": (Stage.ACTIVE,), "limit": 5, "token": None, "sizes": sizes}
            clauses, orders = parse(filter_text), parse_orders(order_by)
            search.search(tx, clauses=clauses, orders=orders, logged=scope.deps.metric_key_cache, **asked)
        finally:
            event.remove(scope.deps.db.engine, "before_cursor_execute", explain)
    assert not any("Semi Join" in line or "Hash" in line or "hashed" in line for line in plans), plans
    by_run = [scan for scan, how in pairwise(plans) if how.startswith("Index Cond") and "ROW(candidate.iid" in how]
    assert len(by_run) >= len(clauses), plans
    assert not [scan for scan in by_run if " using pk_" not in scan], plans
    assert not any(line.startswith("Index Cond") and "= candidate.iid)" in line for line in plans), plans
