"""The check of `tests/citus.py`, which runs behind every test on PostgreSQL, sees what it should."""

import re
from pathlib import Path

import pytest

from mltrail_server.store import schema
from tests.citus import DISTRIBUTED, LOCAL, refused

SCALE = Path(__file__).parents[2] / "docs/explanation/scale.md"


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("SELECT * FROM candidate WHERE project_id = %(p)s", "SELECT *"),
        ("DELETE FROM param WHERE param.project_id = %(p)s RETURNING *", "RETURNING *"),
        (
            (
                "SELECT candidate.iid FROM candidate JOIN param ON param.candidate_iid = candidate.iid"
                " WHERE candidate.project_id = %(p)s"
            ),
            "param: not kept to one project",
        ),
        (
            "SELECT due.key FROM due JOIN project ON project.project_id = due.project_id WHERE due.project_id = %(p)s",
            "due is on one node",
        ),
        ("SELECT model.id FROM model WHERE model.id = %(m)s FOR UPDATE", "model: not kept to one project"),
        ("UPDATE model SET project_id = %(p)s WHERE model.project_id = %(q)s", "changes project_id"),
        ("UPDATE model SET name = random() WHERE model.project_id = %(q)s", "random() is volatile"),
        ("INSERT INTO model VALUES (%(p)s)", "names no columns"),
        (
            (
                "WITH a AS (DELETE FROM param WHERE param.project_id = %(p)s RETURNING param.key)"
                " SELECT a.key FROM a, model WHERE model.project_id = %(p)s"
            ),
            "a WITH that writes",
        ),
    ],
)
def test_a_statement_that_citus_would_refuse_is_seen(statement: str, said: str) -> None:
    assert any(said in one for one in refused(statement)), refused(statement)


@pytest.mark.parametrize(
    "statement",
    [
        (
            "SELECT param.key FROM candidate JOIN param ON param.project_id = candidate.project_id"
            " WHERE candidate.project_id = %(p)s"
        ),
        (
            "SELECT a.iid FROM candidate AS a WHERE a.project_id = %(p)s AND EXISTS (SELECT * FROM param WHERE"
            " param.project_id = a.project_id)"
        ),
        (
            "INSERT INTO param (project_id, candidate_iid, key) SELECT x.a, x.b, x.c FROM unnest(%(a)s) AS x(a, b, c)"
            " ON CONFLICT (project_id, candidate_iid, key) DO NOTHING"
        ),
        "SELECT due.key FROM due FOR UPDATE SKIP LOCKED",
        "SELECT count(*) FROM candidate",
    ],
)
def test_a_statement_that_one_node_answers_passes(statement: str) -> None:
    assert refused(statement) == []


def test_the_docs_distribute_every_table_after_those_it_refers_to() -> None:
    found = re.findall(
        r"^SELECT create_distributed_table\('(\w+)', 'project_id'(.*)\);$", SCALE.read_text(), re.MULTILINE
    )
    assert [name for name, _ in found] == ["project", *(name for name in _ordered() if name != "project")]
    assert {rest for name, rest in found if name != "project"} == {", colocate_with => 'project'"}


def _ordered() -> list[str]:
    return [table.name for table in schema.METADATA.sorted_tables if table.name in DISTRIBUTED]


def test_the_local_tables_are_those_of_the_docs() -> None:
    assert all(f"`{name}`" in SCALE.read_text() for name in LOCAL)
