"""Traces go for good when they are deleted, too old, or of an experiment that is gone. Runs remember what went."""

from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from mltrail_server.services.admin import garbage
from mltrail_server.services.admin.purge import PurgeRequest, purge
from mltrail_server.services.context.deps import Deps
from mltrail_server.store import schema
from tests.api.traces.caller import Traces, traces_by
from tests.api.traces.traces_json import send_spans
from tests.api.tracking.runs import by, new_run
from tests.api.trail import SHAS, Trail
from tests.clock import DAY, FrozenClock
from tests.mlflow_client import failure, good
from tests.team import EXTERNAL_URL, Team

TABLES = ("trace", "trace_tag", "trace_metadata", "trace_prompt", "trace_spans", "trace_span_name", "assessment")


def rows(deps: Deps, project_id: int = 1) -> dict[str, int]:
    """Count what is left of traces, tables that are empty left out."""
    with deps.db.read() as connection:
        counted = {
            name: connection.execute(
                sa.select(sa.func.count())
                .select_from(getattr(schema, name))
                .where(getattr(schema, name).c.project_id == project_id)
            ).scalar_one()
            for name in TABLES
        }
    return {name: count for name, count in counted.items() if count}


def full(traces: Traces, trace_id: str, **fields: Any) -> None:
    traces.start(trace_id, **fields)
    send_spans(traces, trace_id, {"name": "agent"})
    traces.assess(trace_id, "correct", value=True)
    traces.two("POST", "/link-prompts", trace_id=trace_id, prompt_versions=[{"name": "qa", "version": "1"}])


def delete(traces: Traces, **fields: Any) -> int:
    url = traces.base.replace("/ml/mlflow", "/ml/traces/delete")
    headers = {"Authorization": f"Bearer {traces.token}"}
    return int(good(traces.client.post(url, json=fields, headers=headers))["deleted"])


def test_nothing_is_left_of_a_trace(traces: Traces, deps: Deps, clock: FrozenClock) -> None:
    full(traces, "tr-1")
    assert set(rows(deps)) == set(TABLES)
    assert traces.three("POST", "/delete-traces", experiment_id="0", request_ids=["tr-1"]) == {"traces_deleted": 1}
    assert rows(deps) == {}
    clock.advance(2 * DAY)
    assert garbage.collect(deps).files == 1


def test_spans_are_no_garbage_while_their_trace_is_there(traces: Traces, deps: Deps, clock: FrozenClock) -> None:
    full(traces, "tr-1")
    clock.advance(10 * DAY)
    assert garbage.collect(deps).files == 0
    clock.advance(10 * DAY)
    assert garbage.collect(deps).files == 0


def test_what_a_person_asked_is_deleted_by_who_they_are(traces: Traces, run_id: str) -> None:
    for number, (user, session) in enumerate([("ann", "s1"), ("ann", "s2"), ("bob", "s2"), ("bob", "s3")]):
        names = {"mlflow.trace.user": user, "mlflow.trace.session": session}
        traces.start(f"tr-{number}", trace_metadata=names)
    traces.two("POST", "/link-to-run", trace_ids=["tr-3"], run_id=run_id)
    assert delete(traces, user="ann", session="s2") == 1
    assert delete(traces, user="ann") == 1
    assert delete(traces, session="s2") == 1
    assert delete(traces, run_id=run_id) == 1
    assert delete(traces, trace_ids=["tr-0", "tr-1"]) == 0
    for fields, says in (({}, "Say which traces to delete"), ({"users": "x"}, "users")):
        answer = traces.client.post(
            traces.base.replace("/ml/mlflow", "/ml/traces/delete"),
            json=fields,
            headers={"Authorization": f"Bearer {traces.token}"},
        )
        assert answer.status_code == 400
        assert says in answer.get_data(as_text=True)


def links(deps: Deps) -> list[tuple[str, bool, str | None]]:
    table = schema.candidate_trace
    query = sa.select(table.c.trace_id, table.c.own, table.c.deleted_by).where(table.c.project_id == 42)
    with deps.db.read() as connection:
        return [(row.trace_id, bool(row.own), row.deleted_by) for row in connection.execute(query.order_by("trace_id"))]


def test_a_run_remembers_evidence_that_others_deleted(
    gitlab_client: FlaskClient, gitlab_deps: Deps, team: Team
) -> None:
    token = team.gitlab.mint(team.job(ref="mine"), EXTERNAL_URL)
    job, person = traces_by(gitlab_client, token), traces_by(gitlab_client, team.tokens["developer"])
    run_id = new_run(by(gitlab_client, token))
    job.start("tr-1", trace_metadata={"mlflow.sourceRun": run_id})
    job.start("tr-2")
    job.two("POST", "/link-to-run", trace_ids=["tr-2"], run_id=run_id)
    person.start("tr-3", trace_metadata={"mlflow.sourceRun": run_id})
    assert links(gitlab_deps) == [("tr-1", True, None), ("tr-2", True, None), ("tr-3", False, None)]

    person.three("POST", "/delete-traces", experiment_id="0", request_ids=["tr-1"])
    job.three("POST", "/delete-traces", experiment_id="0", request_ids=["tr-2"])

    assert links(gitlab_deps) == [("tr-1", True, "developer"), ("tr-3", False, None)]


@pytest.mark.parametrize(
    ("setting", "contract", "kept"),
    [("forever", "", "012"), ("10d", "", "2"), ("forever", "10d", "2"), ("30d", "10d", "2"), ("10d", "30d", "2")],
)
def test_traces_are_kept_as_long_as_contract_and_settings_say(
    trail: Trail, setting: str, contract: str, kept: str
) -> None:
    deps = replace(trail.deps, settings=replace(trail.deps.settings, keep_traces=setting))
    gitlab, project = trail.team.gitlab, trail.team.project
    files = {".mltrail.yml": f"version: 1\nmodels: {{}}\ntraces: {{keep: {contract}}}"} if contract else {}
    gitlab.add_commit(project, SHAS["b"], parents=("a1" * 20,), branch="main", files=files)
    pipeline = gitlab.add_pipeline(project, SHAS["b"], "main", "push")
    trail.train(pipeline, [0.8])
    trail.report(pipeline)
    traces = traces_by(trail.client, trail.team.tokens["developer"])
    for number in range(3):
        traces.start(f"tr-{number}")
        trail.clock.advance(6 * DAY)
    old = 3 - len(kept)
    assert garbage.collect(deps, dry_run=True).traces == old
    assert garbage.collect(deps).traces == old
    found = traces.three("POST", "/batchGetInfos", trace_ids=["tr-0", "tr-1", "tr-2"])["trace_infos"]
    assert "".join(one["trace_id"] for one in found).replace("tr-", "") == kept


def test_the_traces_of_an_experiment_go_with_it(traces: Traces, deps: Deps) -> None:
    experiment = traces.post("experiments/create", name="e")["experiment_id"]
    full(traces, "tr-0")
    here = rows(deps)
    traces.start("tr-1", experiment=experiment)
    traces.post("experiments/delete", experiment_id=experiment)
    assert (
        traces.refused(
            "3.0",
            "POST",
            trace={
                "trace_info": {
                    "trace_id": "tr-2",
                    "trace_location": {"mlflow_experiment": {"experiment_id": experiment}},
                }
            },
        )[0]
        == 400
    )
    list(purge(deps, PurgeRequest()))
    assert rows(deps) == here
    assert failure(traces.call("GET", "api/3.0/mlflow/traces/tr-1"))[0] == 404
