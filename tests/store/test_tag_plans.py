"""Queries for the value of a tag use an index, which leaves out tags that say little."""

from collections.abc import Callable

import pytest
from sqlalchemy import event

from mltrail_server.domain.candidate import Stage
from mltrail_server.domain.filters import parse
from mltrail_server.services.context.deps import Scope
from mltrail_server.services.tracking import candidates, experiments
from mltrail_server.services.tracking.stamp import KEYS
from mltrail_server.store import schema
from mltrail_server.store.db.transaction import Transaction
from mltrail_server.store.pages import tables, tree, words
from mltrail_server.store.review import pipeline_runs
from mltrail_server.store.tracking import candidate_tags, search
from mltrail_server.store.tracking.search import Sizes

INDEX = "ix_candidate_tag_indexed_value"
BRANCH = "gitlab.CI_COMMIT_REF_NAME"
ACTIVE = (Stage.ACTIVE,)
READS: dict[str, Callable[[Transaction], object]] = {
    "a count": lambda one: tables.count_tagged(one, BRANCH, "main", most=10),
    "words": lambda one: words.hits(one, 1, ACTIVE, "main", most=10),
    "children": lambda one: tree.of(one, [1], ACTIVE, most=5),
    "laptops": lambda one: pipeline_runs.without_job(one, ["a" * 40], limit=20),
    "a search": lambda one: find(one, f"tags.`{BRANCH}` = 'main'"),
}


def find(tx: Transaction, filter_text: str) -> list[int]:
    asked = {"clauses": parse(filter_text), "orders": [], "stages": ACTIVE, "limit": 5, "token": None}
    found = search.search(tx, experiment_iids=[1], sizes=Sizes(few=100, small=0), **asked)  # type: ignore[arg-type]
    return [one.iid for one in found.candidates]


@pytest.fixture
def tagged(scope: Scope) -> Scope:
    experiments.create(scope, name="one")
    for number in range(4):
        made = candidates.create(scope, experiment_iid=1, started_ms=number).candidate
        with scope.project.write() as tx:
            candidate_tags.put(tx, made.iid, dict.fromkeys(KEYS, "main" if number % 2 else "side"))
    return scope


@pytest.mark.parametrize("backend", ["sqlite"])
@pytest.mark.parametrize("name", READS)
def test_values_of_tags_are_found_by_their_index(tagged: Scope, plans: list[str], name: str) -> None:
    with tagged.project.read() as tx:
        READS[name](tx)
    assert any(f"INDEX {INDEX} (project_id=? AND key=?" in line for line in plans), plans


@pytest.mark.usefixtures("never_used")
@pytest.mark.parametrize("backend", ["postgresql"])
@pytest.mark.parametrize("generic", [True, False])
def test_a_prepared_statement_uses_the_index(tagged: Scope, generic: bool) -> None:
    """Even if PostgreSQL plans it before it knows the tag."""
    plans: list[str] = []

    def explain(_connection: object, cursor: object, sql: str, given: object, *_: object) -> None:
        if "candidate_tag" in sql:
            asked = tx.connection.connection.cursor()
            asked.execute(f"EXPLAIN {sql}", given)
            plans.extend(row[0] for row in asked.fetchall())

    with tagged.project.write() as tx:  # a transaction, for which settings hold: a read has none on PostgreSQL
        for setting in ("enable_seqscan = off", f"plan_cache_mode = force_{'generic' if generic else 'custom'}_plan"):
            tx.connection.exec_driver_sql(f"SET LOCAL {setting}")
        event.listen(tagged.deps.db.engine, "before_cursor_execute", explain)
        try:
            tables.count_tagged(tx, BRANCH, "main", most=10)
            pipeline_runs.without_job(tx, ["a" * 40], limit=20)
        finally:
            event.remove(tagged.deps.db.engine, "before_cursor_execute", explain)
    assert sum(INDEX in line for line in plans) == 2, plans


@pytest.mark.parametrize("key", sorted(KEYS))
def test_runs_can_be_searched_by_each_tag_of_the_stamp(tagged: Scope, key: str) -> None:
    with tagged.project.read() as tx:
        assert find(tx, f"tags.`{key}` = 'main'") == [4, 2]
        assert find(tx, f"tags.`{key}` != 'main'") == [3, 1]
        assert find(tx, f"tags.`{key}` LIKE 'ma%' AND tags.`{BRANCH}` = 'main'") == [4, 2]


def test_unindexed_tags_belong_to_the_stamp_and_are_not_searched_for_words() -> None:
    assert set(schema.UNINDEXED_TAGS) < KEYS
    assert not set(schema.UNINDEXED_TAGS).intersection(words.TAGS)
