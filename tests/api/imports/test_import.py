"""Whatever a history has is seen through MLflow's API once it is imported, and a second import changes nothing."""

import json
import math
from dataclasses import replace
from typing import Any

import sqlalchemy as sa

from mltrail_server.domain.transfer import Entity, Loss
from mltrail_server.services.context.deps import Deps
from mltrail_server.store import schema
from tests.api.imports.conftest import Bring
from tests.fakes.history import ATTACHMENT, BEGAN, FakeSource, eid
from tests.mlflow_client import FILES, Mlflow, good
from tests.statements import Counter

MODEL_ID = "m-" + eid(90)


def all_rows(deps: Deps) -> dict[str, list[tuple[Any, ...]]]:
    """Everything in the database that an import may write, without what says when it was imported."""
    with deps.db.read() as connection:
        return {
            name: sorted(map(tuple, connection.execute(sa.select(table).where(table.c.project_id == 1))), key=repr)
            for name, table in schema.METADATA.tables.items()
            if "project_id" in table.c and name not in ("origin", "session")
        }


def run_of(mlflow: Mlflow, number: int) -> Any:
    return mlflow.get("runs/get", run_id=eid(number))["run"]


def pairs(items: list[dict[str, str]]) -> dict[str, str]:
    return {item["key"]: item["value"] for item in items}


def test_everything_arrives(bring: Bring, source: FakeSource, mlflow: Mlflow) -> None:
    report = bring(source)

    (project,) = report.projects
    assert report.findings.kept == []
    assert report.clean
    assert project.source == project.here
    assert {entity for entity in Entity if project.here[entity] == 0} == set()
    for record in source.listed_runs:
        run = mlflow.get("runs/get", run_id=record.id)["run"]
        info, data = run["info"], run["data"]
        assert (info["run_name"], info["status"]) == (record.name, record.status)
        assert (info["start_time"], info["end_time"]) == (record.started_ms, record.ended_ms)
        assert info["lifecycle_stage"] == ("deleted" if record.deleted else "active")
        assert pairs(data["params"]) == record.params
        assert pairs(data["tags"]).items() >= record.tags.items()
        assert pairs(data["tags"])["mltrail.imported_from"].startswith("MLflow 2.22.1")
        assert run["inputs"]["dataset_inputs"][0]["dataset"]["digest"] == "abc123"


def test_histories_are_complete(bring: Bring, source: FakeSource, mlflow: Mlflow) -> None:
    bring(source)

    for key in ("loss", "odd"):
        got = mlflow.get("metrics/get-history", run_id=eid(1), metric_key=key)["metrics"]
        there = {
            (step, at, "NaN" if math.isnan(value) else value)
            for run, name, step, at, value in source.listed_points
            if (run, name) == (eid(1), key)
        }
        assert {(one.get("step", 0), one["timestamp"], one["value"]) for one in got} == there
    latest = {one["key"]: one for one in run_of(mlflow, 1)["data"]["metrics"]}
    assert latest["odd"]["value"] == "NaN"  # the newest step


def test_files_arrive_with_their_digests(bring: Bring, source: FakeSource, mlflow: Mlflow, deps: Deps) -> None:
    bring(source)

    iid = run_of(mlflow, 1)["info"]["experiment_id"]
    response = mlflow.call("GET", f"{FILES}/{iid}/{eid(1)}/artifacts/notes/größe.txt")
    assert response.get_data() == b"hello from 1"
    with deps.db.read() as connection:
        query = sa.select(schema.blob.c.sha256).where(schema.blob.c.project_id == 1)
        digests = connection.execute(query).scalars().all()
    assert len(digests) == len(source.bytes_of) + 1  # and the spans
    assert all(digests)


def test_the_registry_keeps_numbers_aliases_and_stages(bring: Bring, source: FakeSource, mlflow: Mlflow) -> None:
    bring(source)

    model = mlflow.get("registered-models/get", name="churn")["registered_model"]
    assert model["description"] == "Who leaves"
    assert model["creation_timestamp"] == BEGAN
    found = mlflow.get("model-versions/search", filter="name = 'churn'")["model_versions"]
    by_number = {one["version"]: one for one in found}
    assert set(by_number) == {"2", "3", "5", "6"}
    assert by_number["2"]["current_stage"] == "Archived"
    assert by_number["3"]["description"] == "third"
    assert "champion" in by_number["5"]["aliases"]
    assert pairs(by_number["5"]["tags"])["ok"] == "yes"
    iid = run_of(mlflow, 1)["info"]["experiment_id"]
    places = {
        number: mlflow.get("model-versions/get-download-uri", name="churn", version=number)["artifact_uri"]
        for number in by_number
    }
    assert places["2"] == places["3"] == f"mlflow-artifacts:/{iid}/{eid(1)}/artifacts/model"
    assert places["5"] == f"mlflow-artifacts:/{iid}/models/{MODEL_ID}/artifacts"
    for place in places.values():
        path = place.removeprefix("mlflow-artifacts:/")
        assert good(mlflow.call("GET", FILES, query_string={"path": path}))["files"][0]["path"] == "MLmodel"
    # The numbers 1 to 7 were given out at the source.
    made = mlflow.post("model-versions/create", name="churn", source="")["model_version"]
    assert made["version"] == "8"


def test_prompts_traces_and_evaluations_arrive(bring: Bring, source: FakeSource, mlflow: Mlflow) -> None:
    bring(source)

    prompt = mlflow.get("model-versions/get", name="greeting", version="1")["model_version"]
    assert pairs(prompt["tags"])["mlflow.prompt.text"] == "Hello {{name}}"
    trace_id = "tr-" + eid(70)
    trace = good(mlflow.call("GET", f"api/3.0/mlflow/traces/{trace_id}"))["trace"]["trace_info"]
    assert trace["state"] == "OK"
    assert trace["trace_metadata"]["mlflow.trace.session"] == "s-1"
    assert {one["assessment_name"] for one in trace["assessments"]} == {"correct", "answer"}
    spans = mlflow.call("GET", f"{FILES}/{trace['tags']['mlflow.artifactLocation'].partition(':/')[2]}/traces.json")
    assert json.loads(spans.get_data())["spans"][0]["name"] == "answer"
    query = {"request_id": trace_id, "path": ATTACHMENT.partition("/")[2]}
    picture = mlflow.call("GET", "ajax-api/3.0/mlflow/get-trace-artifact", query_string=query)
    assert picture.get_data() == b"picture"
    iid = run_of(mlflow, 1)["info"]["experiment_id"]
    listed = good(mlflow.call("GET", f"api/3.0/mlflow/scorers/versions?experiment_id={iid}&name=tone"))["scorers"]
    assert [(one["scorer_id"], one["scorer_version"]) for one in listed] == [("s", 1), ("s", 3)]


def test_a_trace_without_previews_gets_none_from_its_spans(bring: Bring, mlflow: Mlflow, source: FakeSource) -> None:
    first = source.listed_traces[0]
    source.listed_traces[0] = replace(first, request_preview=None, response_preview=None)
    bring(source)
    trace = good(mlflow.call("GET", f"api/3.0/mlflow/traces/{first.id}"))["trace"]["trace_info"]
    assert not trace.get("request_preview")
    assert not trace.get("response_preview")


def test_a_second_import_changes_nothing(bring: Bring, source: FakeSource, deps: Deps, statements: Counter) -> None:
    bring(source)
    before = all_rows(deps)
    opened = len(source.opened)

    with statements() as sent:
        report = bring(source)

    assert report.clean
    assert report.projects[0].source == report.projects[0].here
    assert all_rows(deps) == before
    assert len(source.opened) == opened
    writes = [one for one in sent if one.startswith(("INSERT", "UPDATE", "DELETE"))]
    assert {one.split()[2 if one.startswith("INSERT") else 1].strip('"') for one in writes} == {"origin"}
    assert len(sent) < 110


def test_rereading_finds_a_file_that_was_added_to_a_run_that_had_ended(
    bring: Bring, source: FakeSource, mlflow: Mlflow, deps: Deps
) -> None:
    bring(source)
    run = source.listed_runs[1]
    source.bytes_of[f"{run.artifact_uri}/notes/late.txt"] = b"late"
    opened = len(source.opened)

    assert bring(source).clean
    assert len(source.opened) == opened  # a run's record does not tell
    report = bring(source, reread=True)

    assert report.clean
    assert len(source.opened) == opened + 1
    assert report.projects[0].source == report.projects[0].here
    place = f"{FILES}/{run_of(mlflow, 1)['info']['experiment_id']}/{run.id}/artifacts/notes/late.txt"
    assert mlflow.call("GET", place).get_data() == b"late"
    before = all_rows(deps)
    assert bring(source, reread=True).clean
    assert all_rows(deps) == before


def test_each_count_stands_below_its_heading(bring: Bring, source: FakeSource, mlflow: Mlflow) -> None:
    bring(source)
    mlflow.post("runs/set-tag", run_id=eid(1), key="ours", value="x")

    lines = bring(source).lines()

    heading = next(line for line in lines if line.endswith("more here"))
    tags = next(line for line in lines if line.startswith("  tags"))
    assert len(tags) == len(heading)
    assert tags.split()[-1] == "1"


def test_a_dry_run_writes_nothing_and_opens_no_file(bring: Bring, source: FakeSource, deps: Deps) -> None:
    before = all_rows(deps)

    report = bring(source, dry_run=True)

    assert all_rows(deps) == before
    assert source.opened == []
    assert report.clean
    assert report.projects[0].source[Entity.RUN] == 3
    assert report.projects[0].source[Entity.BYTES] == sum(map(len, source.bytes_of.values()))
    assert report.projects[0].here[Entity.RUN] == 0


def test_a_run_goes_on(bring: Bring, source: FakeSource, mlflow: Mlflow) -> None:
    run = source.change(source.listed_runs[1], status="RUNNING", ended_ms=None)
    first = bring(source)
    assert run_of(mlflow, 1)["info"]["status"] == "RUNNING"
    uri = f"{run.artifact_uri}/notes/größe.txt"
    source.bytes_of[uri] = b"hello from X"  # as long as before
    source.add_points(run, [(run.id, "loss", 99, BEGAN, 0.01)])
    source.change(
        source.listed_runs[1], status="FINISHED", ended_ms=BEGAN + 7, tags={**run.tags, "note": "new", "more": "yes"}
    )

    second = bring(source)

    assert first.clean
    assert second.findings.kept == []
    assert second.projects[0].source == second.projects[0].here
    got = run_of(mlflow, 1)
    assert (got["info"]["status"], got["info"]["end_time"]) == ("FINISHED", BEGAN + 7)
    assert pairs(got["data"]["tags"]).items() >= {"note": "new", "more": "yes"}.items()
    assert {one["key"]: one["value"] for one in got["data"]["metrics"]}["loss"] == 0.01
    place = f"{FILES}/{got['info']['experiment_id']}/{run.id}/artifacts/notes/größe.txt"
    assert mlflow.call("GET", place).get_data() == b"hello from X"


def test_what_was_changed_here_stays(bring: Bring, source: FakeSource, mlflow: Mlflow) -> None:
    bring(source)
    mlflow.post("runs/set-tag", run_id=eid(1), key="note", value="ours")
    mlflow.post("registered-models/alias", name="churn", alias="champion", version="3")
    run = source.listed_runs[1]
    source.change(run, tags={**run.tags, "note": "theirs", "other": "theirs"})

    report = bring(source)

    assert not report.clean
    tags = pairs(run_of(mlflow, 1)["data"]["tags"])
    assert (tags["note"], tags["other"]) == ("ours", "theirs")
    assert mlflow.get("registered-models/alias", name="churn", alias="champion")["model_version"]["version"] == "3"
    assert {(one.loss, one.entity) for one in report.findings.kept} == {
        (Loss.CHANGED, Entity.TAG),
        (Loss.CHANGED, Entity.ALIAS),
    }


def test_an_experiment_that_is_deleted_there_stays_here(bring: Bring, source: FakeSource, mlflow: Mlflow) -> None:
    bring(source)
    source.listed_experiments[1] = replace(source.listed_experiments[1], deleted=True)

    report = bring(source)

    assert report.clean
    assert [one.loss for one in report.findings.kept] == [Loss.NOTE]
    stages = {one.name: one.deleted for one in source.listed_experiments}
    found = {
        name: mlflow.get("experiments/get-by-name", experiment_name=name)["experiment"]["lifecycle_stage"]
        for name in stages
    }
    assert set(found.values()) == {"active", "deleted"}
    assert found[source.listed_experiments[1].name] == "active"
    assert found["gone"] == "deleted"
