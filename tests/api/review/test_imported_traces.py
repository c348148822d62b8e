"""An imported trace is no evidence, whatever a job does with it."""

from typing import Any

import pytest
import sqlalchemy as sa

from mltrail_server.store import schema
from tests.api.imported import mark
from tests.api.review.evaluated import How, evaluate, say
from tests.api.review.evaluated_sides import Sides
from tests.api.traces.caller import a_trace
from tests.api.traces.calls import start_trace
from tests.api.trail import Trail
from tests.mlflow_client import Mlflow, failure

pytestmark = pytest.mark.usefixtures("bot_is_a_developer")
FORBIDDEN = (403, "PERMISSION_DENIED")


def status(mlflow: Mlflow, method: str, path: str, **fields: Any) -> tuple[int, str]:
    return failure(mlflow.call(method, path, json=fields))[:2]


def test_a_job_makes_no_imported_trace_its_evidence(trail: Trail) -> None:
    """The author has answers that look good elsewhere, and a job that evaluates nothing itself."""
    sides = Sides(trail)
    evaluate(trail, sides.main, {"correct": [True, True]})
    made = evaluate(trail, sides.pipeline, {"correct": [True]}, How(job_status=None))
    imported = start_trace(trail.person("maintainer"), "1", client_request_id="q1")
    mark(trail.deps, schema.trace, {"id": imported})
    job = Mlflow(trail.client, project="42", token=made.token)
    job.post("traces/link-to-run", trace_ids=[imported], run_id=made.run_id)
    say(job, imported, made.run_id, "correct", value=True)
    again = a_trace(imported, experiment="1", client_request_id="q1")
    again["trace_info"]["trace_metadata"] = {"mlflow.sourceRun": made.run_id}
    assert status(job, "POST", "api/3.0/mlflow/traces", trace=again) == FORBIDDEN
    tag = {"key": "mlflow.test.name", "value": "q1"}
    assert status(job, "PATCH", f"api/2.0/mlflow/traces/{imported}/tags", **tag) == FORBIDDEN
    mine = {"experiment_id": "1", "request_ids": [imported]}
    assert status(job, "POST", "api/2.0/mlflow/traces/delete-traces", **mine) == FORBIDDEN
    with trail.deps.db.read() as connection:
        link = schema.candidate_trace
        own = (
            connection.execute(sa.select(link.c.own).where(link.c.project_id == 42, link.c.trace_id == imported))
            .scalars()
            .all()
        )
    assert list(map(bool, own)) == [False]
    trail.team.gitlab.set_job(made.job, "success")
    (evaluation,) = sides.model()["evaluations"]
    assert sorted(one["change"] for one in evaluation["cases"]) == ["missing", "passed"]


def test_people_may_tag_and_delete_it(trail: Trail) -> None:
    person = trail.person("developer")
    imported = start_trace(person, "0")
    mark(trail.deps, schema.trace, {"id": imported})
    tag = {"key": "note", "value": "old"}
    answer = person.call("PATCH", f"api/2.0/mlflow/traces/{imported}/tags", json=tag)
    deleted = person.post("traces/delete-traces", experiment_id="0", request_ids=[imported])
    assert (answer.status_code, deleted["traces_deleted"]) == (200, 1)
