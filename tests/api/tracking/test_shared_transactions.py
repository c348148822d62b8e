"""On SQLite, small writes of several callers share a transaction; if one fails, the others are done again."""

from concurrent.futures import ThreadPoolExecutor

import sqlalchemy as sa
from flask.testing import FlaskClient

from mltrail_server.services.context.deps import Deps
from mltrail_server.store import schema
from tests.api.tracking.runs import by, new_run, tags_of
from tests.processes import wait_until
from tests.team import EXTERNAL_URL, Team

BACKENDS = ("sqlite",)


def test_a_jobs_first_run_shares_a_transaction_with_a_call_that_fails(
    gitlab_client: FlaskClient, gitlab_deps: Deps, team: Team
) -> None:
    """The note that a look at its pipeline is scheduled is kept outside the database, and must be right in the end."""
    person = by(gitlab_client, team.tokens["developer"])
    other = new_run(person)
    person.post("runs/log-parameter", run_id=other, key="p", value="1")
    job = by(gitlab_client, team.gitlab.mint(team.job(), EXTERNAL_URL))
    group = gitlab_deps.db._group
    assert group is not None
    with ThreadPoolExecutor(2) as both:
        with gitlab_deps.db.write():
            created = both.submit(new_run, job, {"a": "b"})
            wait_until(lambda: len(group._waiting) == 1, "the new run waits")
            changed = both.submit(person.error, "POST", "runs/log-parameter", run_id=other, key="p", value="2")
            wait_until(lambda: len(group._waiting) == 2, "the parameter waits, too")
        assert changed.result(30)[0] == 400
        run_id = created.result(30)

    found = job.post("runs/search", experiment_ids=["0"])["runs"]
    assert {one["info"]["run_id"] for one in found} == {run_id, other}
    tags = tags_of(job.get("runs/get", run_id=run_id)["run"])
    assert (tags["a"], tags["gitlab.verified"]) == ("b", "true")
    with gitlab_deps.db.read() as connection:
        for table in (schema.candidate_job, schema.due):
            rows = sa.select(sa.func.count()).where(table.c.project_id == team.project.id)
            assert connection.scalar(rows) == 1
