"""The check of `tests/tenancy.py` sees what it should: it runs behind every other test."""

import ast
from pathlib import Path

import pytest
import sqlalchemy as sa

from mltrail_server import store
from mltrail_server.store import schema
from mltrail_server.store.db.statements import Statement
from tests.tenancy import TENANTS, leaks

RUN, TAG = schema.candidate, schema.candidate_tag
OTHER = RUN.alias("other")


@pytest.mark.parametrize(
    ("statement", "tables"),
    [
        (sa.select(RUN.c.iid), ["candidate"]),
        (sa.select(RUN.c.iid).where(RUN.c.eid == "x"), ["candidate"]),
        (sa.select(RUN.c.project_id).where(RUN.c.project_id != 1), ["candidate"]),
        (sa.update(RUN).where(RUN.c.eid == "x").values(promoted=True), ["candidate"]),
        (sa.delete(TAG), ["candidate_tag"]),
        (sa.select(sa.func.count()).select_from(TAG), ["candidate_tag"]),
        (
            sa.select(RUN.c.iid).join(TAG, TAG.c.candidate_iid == RUN.c.iid).where(RUN.c.project_id == 1),
            ["candidate_tag"],
        ),
        (
            sa.select(RUN.c.iid).where(RUN.c.project_id == 1, RUN.c.iid.in_(sa.select(TAG.c.candidate_iid))),
            ["candidate_tag"],
        ),
        (sa.select(OTHER.c.iid), ["other"]),
    ],
)
def test_a_statement_that_leaks_is_seen(statement: object, tables: list[str]) -> None:
    assert leaks(statement) == tables


@pytest.mark.parametrize(
    "statement",
    [
        sa.select(RUN.c.iid).where(RUN.c.project_id == 1),
        sa.select(OTHER.c.iid).where(OTHER.c.project_id == 1),
        sa.select(RUN.c.iid)
        .join(TAG, (TAG.c.project_id == RUN.c.project_id) & (TAG.c.candidate_iid == RUN.c.iid))
        .where(RUN.c.project_id == 1),
        sa.delete(TAG).where(TAG.c.project_id == 1),
        sa.insert(TAG).values(project_id=1),
        sa.select(schema.web_session.c.sealed),
    ],
)
def test_a_statement_that_keeps_to_its_project_passes(statement: object) -> None:
    assert leaks(statement) == []


def test_each_statement_that_is_sent_is_looked_at() -> None:
    engine = sa.create_engine("sqlite://")
    RUN.create(engine)
    TENANTS.found.clear()
    leaking = sa.select(RUN.c.iid).where(RUN.c.eid == "x")
    with engine.connect() as connection:
        connection.execute(leaking.execution_options(all_projects=True))
        assert TENANTS.found == []
        connection.execute(leaking)
        connection.execute(leaking.where(RUN.c.project_id == 1))
    (found,) = TENANTS.found
    assert found.startswith("candidate: SELECT")
    TENANTS.found.clear()


def test_statements_that_go_straight_to_the_driver_keep_to_a_project() -> None:
    assert len(Statement.all_of_them) > 10
    for dialect in ("sqlite", "postgresql"):
        built = [one.build(dialect) for one in Statement.all_of_them]
        assert [str(statement) for statement in built if leaks(statement)] == []


STORE = Path(store.__file__).parent
ACROSS_PROJECTS = {
    "admin/facts.py": {"of_postgresql", "replica_lag", "journal_mode"},
    "admin/overview.py": {"keep_backup", "last_backup", "notes_not_posted", "stored_bytes", "waiting"},
    "archives/blob_index.py": {"__init__", "named_blobs"},
    "archives/rows.py": {"_booleans", "count", "read", "write", "write_all"},
    "archives/snapshot.py": {"_is_whole", "revision", "tables"},
    "archives/staging.py": {"_last"},
    "archives/target.py": {"count_bytes", "free_leases"},
    "ci/due.py": {"_change", "claim", "settle"},
    "identity/projects.py": {"ids", "known"},
    "identity/sessions.py": {"add", "claim", "delete", "get", "put"},
    "pages/catalogue.py": {"aliases", "entries", "metrics", "versions"},
    "pages/home.py": {"_read", "activity", "counts", "failing", "new_aliases", "newest", "overridden", "running"},
    "pages/search.py": {
        *{"_read_runs", "_requests", "datasets", "experiments", "merge_requests", "merge_requests_by_iid", "models"},
        *{"pipelines", "runs", "runs_by_commit", "runs_by_id", "runs_by_pipeline", "versions"},
    },
}
"""The operator's figures, archives and backups, the worker's next task, what belongs to no project, and pages over all
projects that a person may see, whose statements each name them.
"""


def test_only_what_spans_projects_takes_a_raw_connection() -> None:
    found: dict[str, set[str]] = {}
    for path in sorted(STORE.rglob("*.py")):
        if path.is_relative_to(STORE / "db"):
            continue  # which gives connections out
        for function in ast.walk(ast.parse(path.read_text())):
            if isinstance(function, ast.FunctionDef) and "Connection" in ast.unparse(function.args):
                found.setdefault(str(path.relative_to(STORE)), set()).add(function.name)
                assert "project_id" not in {one.arg for one in _arguments(function)}, f"{path}: {function.name}"
    assert found == ACROSS_PROJECTS


def test_the_transaction_runs_the_statements_of_a_project() -> None:
    around = {
        str(path.relative_to(STORE))
        for path in STORE.rglob("*.py")
        if not path.is_relative_to(STORE / "db") and ".connection" in path.read_text()
    }
    assert around == set()


def _arguments(function: ast.FunctionDef) -> list[ast.arg]:
    return [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
