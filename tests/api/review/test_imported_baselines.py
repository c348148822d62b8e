"""An imported run is no baseline, unless the contract of the target branch says so; then the note says so, too."""

from typing import Any
from xml.etree import ElementTree as ET

import pytest

from mltrail_ci import responses
from mltrail_ci.outputs import junit
from mltrail_server.store import schema
from tests.api.imported import AT_MS, DAY_MS, FROM, ON, an_origin, import_run, import_version, mark
from tests.api.review.merge_requests import BAD, GOOD, RULE, a_main, a_request, contract
from tests.api.trail import SHAS, Trail
from tests.fakes.gitlab import detectors
from tests.mlflow_client import Mlflow
from tests.team import EXTERNAL_URL

LETS = "{baseline: true}"


def on_main(trail: Trail, text: str | None) -> None:
    """A contract on main, where nothing was trained."""
    files = {} if text is None else {".mltrail.yml": text}
    trail.team.gitlab.add_commit(trail.team.project, SHAS["b"], parents=("a1" * 20,), branch="main", files=files)


def lines(report: Any) -> dict[str, str]:
    return {one["label"]: one["text"] for one in report["summary"]["lines"]}


def test_without_the_key_it_is_none_and_the_note_says_which_line_to_add(trail: Trail) -> None:
    on_main(trail, contract(RULE))
    for value in GOOD:
        import_run(trail, value, params={"seed": str(value)})
    request, pipeline = a_request(trail, BAD)
    report = trail.report(pipeline)
    (model,) = report["models"]
    assert (model["baseline"], model["against"], report["gate"]["outcome"]) == (None, "main", "pass")
    assert lines(report)["Baseline"] == (
        f"3 imported runs are not used: imported from {FROM} {ON}, and not verified. To compare with them until there "
        "are runs of CI jobs, write imported: {baseline: true} below models: churn: in .mltrail.yml."
    )
    (note,) = trail.notes(request)
    assert "`imported: {baseline: true}` below `models: churn:`" in note


def test_with_the_key_it_is_the_baseline_and_everything_says_that_it_is_not_verified(trail: Trail) -> None:
    on_main(trail, contract(RULE, imported=LETS))
    for value in GOOD:
        import_run(trail, value, params={"seed": str(value)})
    request, pipeline = a_request(trail, BAD)
    report = trail.report(pipeline)
    (model,) = report["models"]
    assert report["gate"]["outcome"] == "fail"
    assert (model["against"], model["baseline"]["runs"], model["baseline"]["pipeline_id"]) == ("imported", 3, None)
    assert model["baseline"]["imported"]["sentence"] == f"imported from {FROM} {ON}, not verified"
    assert lines(report)["Baseline"] == (
        f"imported from {FROM} {ON}, and not verified: no CI job of this project vouches for it. It counts because of "
        "imported: {baseline: true} in .mltrail.yml on main."
    )
    assert "3 imported runs, 3 here" in lines(report)["How sure"]
    (note,) = trail.notes(request)
    assert "| Verdict | before → this |" in note
    assert "**Baseline:** imported from `MLflow 2.22.1` at `https://mlflow.example.com`" in note
    assert f"3 runs, imported from `MLflow 2.22.1` at `https://mlflow.example.com` {ON}." in note


def test_what_comes_from_elsewhere_is_inert_and_short(trail: Trail) -> None:
    bad = "/merge @all !7 #1 ~bug | <img src=x> ![a](b) `"
    an_origin(trail.deps, address=f"https://evil.example.com/{bad}" + "x" * 9000, description=f"MLflow {bad}")
    on_main(trail, contract(RULE, imported=LETS))
    import_run(trail, 0.81)
    request, pipeline = a_request(trail, BAD)
    trail.report(pipeline)
    (note,) = trail.notes(request)
    assert (detectors.quick_actions(note), detectors.mentions(note), detectors.references(note)) == ([], [], [])
    (line,) = [one for one in note.splitlines() if one.startswith("**Baseline:**")]
    assert len(line) < 500


def test_junit_says_that_the_baseline_is_not_verified(trail: Trail) -> None:
    on_main(trail, contract(RULE, imported=LETS))
    import_run(trail, 0.81)
    _, pipeline = a_request(trail, GOOD)
    suite = ET.fromstring(junit.render(responses.report(trail.report(pipeline)))).findall("testsuite")[0]
    skipped = {case.get("name"): one.get("message") for case in suite for one in case.findall("skipped")}
    assert skipped["baseline is verified"] == f"the baseline was imported from {FROM} {ON}, not verified"


def test_a_pipeline_of_the_target_branch_takes_its_place(trail: Trail) -> None:
    import_run(trail, 0.99)
    a_main(trail, SHAS["b"], contract(RULE, imported=LETS), GOOD)
    _, pipeline = a_request(trail, GOOD)
    (model,) = trail.report(pipeline)["models"]
    assert (model["baseline"]["imported"], model["baseline"]["runs"], model["history"]["spread"]) == (None, 3, [])


def test_what_the_merge_request_proposes_does_not_bind(trail: Trail) -> None:
    on_main(trail, contract(RULE))
    import_run(trail, 0.10)
    proposes = contract(RULE, imported=LETS)
    request, pipeline = a_request(trail, BAD, {".mltrail.yml": proposes})
    report = trail.report(pipeline)
    (model,) = report["models"]
    assert (model["baseline"], report["gate"]["outcome"]) == (None, "pass")
    assert "changes `.mltrail.yml`" in trail.notes(request)[0]


@pytest.mark.parametrize("key", [None, LETS])
def test_a_claim_on_a_job_of_the_target_branch_is_no_proof(trail: Trail, key: str | None) -> None:
    keys = {} if key is None else {"imported": key}
    on_main(trail, contract(RULE, **keys))
    pipeline = trail.team.gitlab.add_pipeline(trail.team.project, SHAS["b"], "main", "push")
    job = trail.train(pipeline, [], experiment="other")
    import_run(trail, 0.10, tags={"gitlab.CI_JOB_ID": str(job.id)})
    _, of_request = a_request(trail, BAD)
    (model,) = trail.report(of_request)["models"]
    assert (model["baseline"] is not None) == (key is not None)
    own = trail.report(pipeline)["models"]
    assert [run["status"] for one in own for run in one["candidates"]] == ["unverified"]


def test_the_newest_training_counts_with_the_runs_that_differ_by_chance(trail: Trail) -> None:
    on_main(trail, contract(RULE, imported=LETS))
    commit = {"mlflow.source.git.commit": "7" * 40}
    import_run(trail, 0.1, started_ms=AT_MS - 3 * DAY_MS)
    for seed, value in enumerate(GOOD):
        import_run(trail, value, params={"seed": str(seed)}, tags=commit, started_ms=AT_MS - seed * 2 * DAY_MS)
    import_run(trail, 0.2, params={"lr": "9"}, tags=commit, started_ms=AT_MS - DAY_MS)
    import_run(trail, 0.3, status="FAILED", started_ms=AT_MS + DAY_MS)
    import_run(trail, 0.4, experiment="other", started_ms=AT_MS + DAY_MS)
    _, pipeline = a_request(trail, GOOD)
    (model,) = trail.report(pipeline)["models"]
    assert model["baseline"]["runs"] == 3
    assert model["metrics"][0]["baseline"]["mean"] == pytest.approx(0.81)


@pytest.mark.parametrize("status", ["FINISHED", "FAILED"])
def test_a_sweep_is_one_training(trail: Trail, status: str) -> None:
    on_main(trail, contract(RULE, imported=LETS))
    parent = import_run(trail, 0.0, params={"lr": "sweep"}, status=status)
    for number, value in enumerate((0.5, 0.81, 0.6)):
        tags = {"mlflow.parentRunId": parent}
        import_run(trail, value, params={"lr": str(number)}, tags=tags, started_ms=AT_MS + number)
    _, pipeline = a_request(trail, GOOD)
    (model,) = trail.report(pipeline)["models"]
    assert model["metrics"][0]["baseline"] == {"mean": 0.81, "sd": None, "n": 1}


@pytest.mark.parametrize("baseline", ["champion", "version:3.2.0"])
def test_the_run_of_an_imported_version(trail: Trail, baseline: str) -> None:
    run_id = import_run(trail, 0.81, params={"seed": "1"})
    import_run(trail, 0.83, params={"seed": "2"})
    import_run(trail, 0.1, params={"lr": "9"})
    import_version(trail, run_id)
    on_main(trail, contract(RULE, baseline=baseline))
    _, pipeline = a_request(trail, BAD)
    report = trail.report(pipeline)
    assert (report["models"][0]["baseline"], report["gate"]["outcome"]) == (None, "pass")
    assert lines(report)["Baseline"].startswith(f"the version's run is not used: imported from {FROM}")
    on_main(trail, contract(RULE, baseline=baseline, imported=LETS))
    trail.clock.advance(120_000)
    report = trail.report(pipeline)
    (model,) = report["models"]
    assert (model["baseline"]["version"], model["baseline"]["runs"], report["gate"]["outcome"]) == ("3.2.0", 2, "fail")
    assert "not verified" in model["baseline"]["imported"]["sentence"]


def test_nobody_can_change_or_hide_it(trail: Trail) -> None:
    on_main(trail, contract(RULE, imported=LETS))
    run_id = import_run(trail, 0.81)
    _, pipeline = a_request(trail, BAD)
    developer = trail.person("developer")
    developer.post("runs/log-metric", run_id=run_id, key="val_accuracy", value=0.1, timestamp=9, step=9)
    developer.post("runs/set-tag", run_id=run_id, key="mlflow.runName", value="worse")
    developer.post("runs/update", run_id=run_id, status="FAILED")
    for call, fields in (
        ("runs/delete", {"run_id": run_id}),
        ("experiments/delete", {"experiment_id": "1"}),
        ("experiments/update", {"experiment_id": "1", "new_name": "old"}),
    ):
        answer = developer.call("POST", f"api/2.0/mlflow/{call}", json=fields)
        assert answer.status_code == 403
        assert "imported" in answer.get_json()["message"]
    (model,) = trail.report(pipeline)["models"]
    assert model["metrics"][0]["baseline"] == {"mean": 0.81, "sd": None, "n": 1}
    trail.person("maintainer").post("runs/delete", run_id=run_id)
    (model,) = trail.report(pipeline)["models"]
    assert model["baseline"] is None


def test_a_job_that_goes_on_with_it_adds_to_it_and_proves_nothing(trail: Trail) -> None:
    on_main(trail, contract(RULE))
    run_id = import_run(trail, 0.81, status="RUNNING")
    job = trail.team.job()
    mlflow = Mlflow(trail.client, project="42", token=trail.team.gitlab.mint(job, EXTERNAL_URL))
    mlflow.post("runs/log-metric", run_id=run_id, key="extra", value=1, timestamp=1)
    mlflow.post("runs/update", run_id=run_id, status="FINISHED")
    run = (
        trail.person("guest").call("GET", "api/2.0/mlflow/runs/get", query_string={"run_id": run_id}).get_json()["run"]
    )
    assert {one["key"] for one in run["data"]["metrics"]} == {"val_accuracy", "extra"}
    assert run["info"]["status"] == "RUNNING"
    assert "gitlab.verified" not in {one["key"] for one in run["data"]["tags"]}
    trail.team.gitlab.set_job(job, "success")
    trail.work()
    assert [run["info"]["status"] for run in trail.runs()] == ["RUNNING"]


def test_an_imported_run_is_not_ended_with_the_job_that_it_claims(trail: Trail) -> None:
    pipeline = trail.main(SHAS["b"], contract(RULE))
    job = trail.train(pipeline, [0.8])
    import_run(trail, 0.81, status="RUNNING", tags={"gitlab.CI_JOB_ID": str(job.id)})
    trail.report(pipeline)
    assert {run["info"]["status"] for run in trail.runs()} == {"FINISHED", "RUNNING"}


def test_the_mark_cannot_be_forged(trail: Trail) -> None:
    trail.train(trail.main(SHAS["b"]), [0.8])
    (run,) = trail.runs()
    run_id = run["info"]["run_id"]
    fields = {"run_id": run_id, "key": "mltrail.imported_from", "value": "MLflow"}
    answer = trail.person("maintainer").call("POST", "api/2.0/mlflow/runs/set-tag", json=fields)
    assert answer.status_code == 400
    assert "written by mltrail itself. Use" in answer.get_json()["message"]
    tags = [{"key": "mltrail.imported_from", "value": "MLflow"}]
    made = trail.person("developer").post("runs/create", experiment_id="1", tags=tags)["run"]
    assert "mltrail.imported_from" not in {one["key"] for one in made["data"]["tags"]}
    mark(trail.deps, schema.candidate, {"eid": run_id})
    assert trail.report(trail.main(SHAS["d"]))["state"] == "empty"
