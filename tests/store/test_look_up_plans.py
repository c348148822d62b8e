"""Facts about a few runs are looked up for each of them, not joined with everything that a project has."""

from mltrail_server.domain.candidate import Stage
from mltrail_server.domain.direction import Better
from mltrail_server.domain.filters import Clause, Entity
from mltrail_server.services.context.deps import Scope
from mltrail_server.services.pages import tables as pages
from mltrail_server.services.pages.tables import TableQuery
from mltrail_server.services.tracking import experiments
from mltrail_server.store.pages import tables

RARE = [Clause(Entity.TAG, "stage", "=", "rare")]


def test_words_parents_and_failed_jobs_are_looked_up(scope: Scope, plans: list[str]) -> None:
    experiments.create(scope, name="one")
    plans.clear()
    pages.page(scope, 1, TableQuery(words=["word"]))
    pages.page(scope, 1, TableQuery())
    with scope.project.read() as tx:
        tables.best_values(tx, 1, [Stage.ACTIVE], RARE, wanted={"loss": Better.LOWER}, small=False)
    plan = "\n".join(plans)
    assert ("CORRELATED" if scope.deps.db.is_sqlite else "SubPlan") in plan
    assert "hashed SubPlan" not in plan
    assert "Anti Join" not in plan


def test_few_runs_are_found_by_their_numbers(scope: Scope, plans: list[str]) -> None:
    experiments.create(scope, name="one")
    plans.clear()
    with scope.project.read() as tx:
        tables.count_matching(tx, 1, [Stage.ACTIVE], RARE, also=(), few=[1, 2], most=10)
        tables.best_values(tx, 1, [Stage.ACTIVE], RARE, wanted={"loss": Better.LOWER}, small=True, few=[1, 2])
    if scope.deps.db.is_sqlite:
        assert plans.count("SEARCH candidate USING INDEX sqlite_autoindex_candidate_1 (project_id=? AND iid=?)") == 2
    else:
        assert sum("pk_candidate " in line for line in plans) == 2
    assert not any("ix_candidate_newest" in line for line in plans)
