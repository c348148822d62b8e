"""Sweeps, two jobs for one run, runs of a laptop: how each is logged, and what the merge request's report says."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mltrail_contract import FILE_NAME
from mltrail_server.domain.ids import ProjectId
from mltrail_server.services.review import reports
from tests.api.review.jobs import a_job, log
from tests.api.review.merge_requests import RULE, a_main, a_request, contract
from tests.api.trail import SHAS, Trail
from tests.fakes.gitlab import Pipeline
from tests.mlflow_client import good
from tests.statements import statements_of
from tests.team import EXTERNAL_URL


def sweep(trail: Trail, pipeline: Pipeline, count: int) -> None:
    job, mlflow = a_job(trail, pipeline)
    parent = log(mlflow, {})
    for number in range(count):
        log(mlflow, {"val_accuracy": 0.8 + number / 1000}, {"lr": str(number)}, mlflow__parentRunId=parent)
    trail.team.gitlab.set_job(job, "success")


def computed(trail: Trail, pipeline: Pipeline) -> list[str]:
    with trail.deps.project(ProjectId(42)).read() as tx, statements_of(trail.deps) as seen:
        reports.answer(tx, pipeline.id, reports.Question("main", [SHAS["b"]]))
    return [one for one in seen if one.startswith("SELECT")]


def test_a_sweep_s_trials_are_candidates_and_its_parent_is_none(trail: Trail) -> None:
    a_main(trail, SHAS["b"], contract(RULE), [0.80, 0.81])
    _, pipeline = a_request(trail, [])
    sweep(trail, pipeline, 4)
    (model,) = trail.report(pipeline)["models"]
    assert model["metrics"][0]["current"]["mean"] == pytest.approx(0.803)
    assert "the best of 4 candidates" in trail.notes(trail.team.project.merge_requests[1])[0]


def test_a_job_that_trains_the_winner_again_is_what_counts(trail: Trail) -> None:
    a_main(trail, SHAS["b"], contract(RULE), [0.80, 0.81, 0.82])
    _, pipeline = a_request(trail, [])
    sweep, mlflow = a_job(trail, pipeline, "sweep")
    for number in range(8):
        log(mlflow, {"val_accuracy": 0.80 + number / 500}, {"lr": str(number), "seed": "1"})
    trail.team.gitlab.set_job(sweep, "success")
    (model,) = trail.report(pipeline)["models"]
    assert (model["best"]["params"], model["confirmed"]) == ({"lr": "7"}, False)
    confirm, mlflow = a_job(trail, pipeline, "confirm")
    for seed in (101, 102):
        run_id = log(mlflow, {"val_accuracy": 0.80}, {"lr": "7", "seed": str(seed)})
        mlflow.post("runs/set-tag", run_id=run_id, key="mltrail.confirm", value="true")
    trail.team.gitlab.set_job(confirm, "success")
    report = trail.report(pipeline)
    (model,) = report["models"]
    assert (model["confirmed"], model["metrics"][0]["current"]["n"]) == (True, 2)
    assert "The best was trained again on fresh seeds, and only these runs count." in report["markdown"]


def test_a_large_sweep_and_a_long_history_cost_no_more_statements(trail: Trail) -> None:
    a_main(
        trail, SHAS["b"], contract(RULE, "{metric: val_accuracy, at_least: 0.1, value: best, better: higher}"), [0.8]
    )
    _, small = a_request(trail, [0.8])
    trail.report(small)
    few = computed(trail, small)
    for number in range(6):
        trail.report(a_main(trail, f"{number:040x}", None, [0.80, 0.81]))
    large = trail.of_request(trail.team.project.merge_requests[1], SHAS["c"])
    sweep(trail, large, 40)
    trail.report(large)
    many = computed(trail, large)
    assert len(many) == len(few) <= 29, "\n".join(many)


def test_a_run_of_two_jobs_counts_when_both_have_succeeded(trail: Trail) -> None:
    a_main(trail, SHAS["b"], contract("{metric: test_accuracy, at_least: 0.9}"), [0.80, 0.81])
    _, pipeline = a_request(trail, [])
    train, mlflow = a_job(trail, pipeline)
    run_id = log(mlflow, {"val_accuracy": 0.8})
    trail.team.gitlab.set_job(train, "success")
    evaluate, mlflow = a_job(trail, pipeline, "evaluate")
    mlflow.post("runs/log-metric", run_id=run_id, key="test_accuracy", value=0.95, timestamp=1)
    assert trail.report(pipeline)["state"] == "waiting"
    trail.team.gitlab.set_job(evaluate, "success")
    report = trail.report(pipeline)
    assert (report["gate"]["outcome"], report["models"][0]["rules"][0]["sentence"]) == (
        "pass",
        "0.9500; must be at least 0.9",
    )
    trail.team.gitlab.set_job(evaluate, "failed", "script_failure")
    assert trail.report(pipeline)["models"][0]["candidates"][0]["status"] == "failed"


def test_a_laptop_s_run_of_the_same_commit_is_listed_apart_and_never_counts(trail: Trail) -> None:
    a_main(trail, SHAS["b"], contract(RULE), [0.80, 0.81, 0.82])
    request, pipeline = a_request(trail, [0.70, 0.71, 0.72])
    person = trail.person("developer")
    log(person, {"val_accuracy": 0.99}, mlflow__source__git__commit=SHAS["c"])
    log(person, {"val_accuracy": 0.98}, mlflow__source__git__commit=SHAS["d"])
    report = trail.report(pipeline)
    assert report["gate"]["outcome"] == "fail"
    assert [run["status"] for run in report["local"]] == ["local"]
    (note,) = trail.notes(request)
    assert "Runs of this commit from people's own machines" in note
    assert "0.9900" in note
    assert "0.9800" not in note


def test_an_alias_is_a_baseline(trail: Trail) -> None:
    text = contract(RULE, baseline="champion")
    main = a_main(trail, SHAS["b"], text, [0.80, 0.81, 0.82])
    person = trail.person("maintainer")
    first: Any = trail.runs()[-1]["info"]["run_id"]
    _, pipeline = a_request(trail, [0.70, 0.71, 0.72])
    report = trail.report(pipeline)
    assert report["models"][0]["baseline"] is None
    assert "no version is `champion` yet" in trail.notes(trail.team.project.merge_requests[1])[0]
    person.post("registered-models/create", name="churn")
    version = person.post("model-versions/create", name="churn", run_id=first, source=f"runs:/{first}/model")
    person.post("registered-models/alias", name="churn", alias="champion", version=version["model_version"]["version"])
    a_main(trail, SHAS["d"], text, [0.5, 0.51])
    report = trail.report(pipeline)
    assert report["gate"]["outcome"] == "fail"
    assert report["models"][0]["baseline"]["pipeline_id"] == main.id
    assert report["models"][0]["baseline"]["runs"] == 3
    assert "of version [`1.0.0`]" in trail.notes(trail.team.project.merge_requests[1])[0]


def test_folds_are_compared_pair_by_pair(trail: Trail) -> None:
    main = a_main(trail, SHAS["b"], contract(RULE), [])
    _, pipeline = a_request(trail, [])
    for where, drop in ((main, 0.0), (pipeline, 0.03)):
        job, mlflow = a_job(trail, where)
        for fold, level in enumerate((0.6, 0.7, 0.8, 0.9)):
            log(mlflow, {"val_accuracy": level - drop + fold / 10_000 * (drop > 0)}, {"fold": str(fold)})
        trail.team.gitlab.set_job(job, "success")
    report = trail.report(pipeline)
    assert report["gate"]["outcome"] == "fail"
    assert (
        "**How sure:** clear that `val_accuracy` is worse: chance from fold to fold would look like this in "
        in report["markdown"]
    )
    assert " cases. 4 folds are compared one by one with those on `main`.\n" in report["markdown"]


def test_other_data_is_not_comparable(trail: Trail) -> None:
    text = contract(RULE, same_dataset="test", if_unknown="fail")
    main = a_main(trail, SHAS["b"], text, [])
    _, pipeline = a_request(trail, [])
    for where, digest in ((main, "aaaa"), (pipeline, "bbbb")):
        job, mlflow = a_job(trail, where)
        run_id = log(mlflow, {"val_accuracy": 0.8})
        dataset = {"name": "customers", "digest": digest, "source_type": "local", "source": "x"}
        tags = [{"key": "mlflow.data.context", "value": "test"}]
        mlflow.post("runs/log-inputs", run_id=run_id, datasets=[{"dataset": dataset, "tags": tags}])
        trail.team.gitlab.set_job(job, "success")
    report = trail.report(pipeline)
    (rule,) = report["models"][0]["rules"]
    assert (rule["outcome"], rule["known"]) == ("fail", False)
    assert rule["sentence"] == "not comparable: another dataset is used here"
    assert (
        "| data, `test` | `customers (aaaa)` | `customers (bbbb)` |"
        in trail.notes(trail.team.project.merge_requests[1])[0]
    )


def test_the_note_previews_what_merging_would_publish(trail: Trail) -> None:
    text = contract(RULE, promote="{from: [default], alias: champion}")
    main = a_main(trail, SHAS["b"], text, [0.80, 0.81, 0.82])
    _, pipeline = a_request(trail, [0.90, 0.91, 0.92], lr="0.2")
    preview = trail.report(pipeline)["models"][0]["merging_publishes"]
    assert (preview["version"], preview["bump"], preview["replaces"]) == ("1.0.0", "first", None)
    job = trail.team.gitlab.add_job(main, "promote", "deploy", trail.team.users["maintainer"], "running")
    trail.team.project.protected.add("main")
    headers = {"Authorization": f"Bearer {trail.team.gitlab.mint(job, EXTERNAL_URL)}"}
    promoted = trail.client.post(
        "/api/v4/projects/42/ml/promotions", json={"pipeline_id": main.id}, headers=headers
    ).get_json()["promotions"]
    assert [one["version"] for one in promoted] == ["1.0.0"], promoted
    preview = trail.report(pipeline)["models"][0]["merging_publishes"]
    assert (preview["version"], preview["bump"], preview["replaces"]) == ("1.1.0", "minor", "1.0.0")
    note = trail.notes(trail.team.project.merge_requests[1])[0]
    assert "\n\n**On merge:** `churn` 1.1.0 replaces 1.0.0 as `champion`: run " in note
    assert "The next version is a minor one: `lr 0.1 → 0.2" in note


def test_what_fails_the_gate_is_not_previewed(trail: Trail) -> None:
    a_main(trail, SHAS["b"], contract(RULE, promote="{}"), [0.80, 0.81, 0.82])
    _, pipeline = a_request(trail, [0.10, 0.11, 0.12])
    assert trail.report(pipeline)["models"][0]["merging_publishes"] is None


def test_other_packages_are_in_the_report(trail: Trail) -> None:
    main = a_main(trail, SHAS["b"], None, [])
    _, pipeline = a_request(trail, [])
    for where, version in ((main, "2.9.0"), (pipeline, "2.9.1")):
        job, mlflow = a_job(trail, where)
        run_id = log(mlflow, {"val_accuracy": 0.8})
        path = f"api/2.0/mlflow-artifacts/artifacts/0/{run_id}/artifacts/model/requirements.txt"
        good(mlflow.call("PUT", path, data=f"mlflow==3.1\ntorch=={version}\n".encode()))
        trail.team.gitlab.set_job(job, "success")
    report = trail.report(pipeline)
    assert report["models"][0]["environment"] == [{"name": "torch", "from": "2.9.0", "to": "2.9.1"}]
    assert "| package `torch` | `2.9.0` | `2.9.1` |" in trail.notes(trail.team.project.merge_requests[1])[0]
    assert trail.report(pipeline, "GET")["models"] == report["models"]


def test_the_page_lists_every_key_of_a_report(trail: Trail) -> None:
    a_main(trail, SHAS["b"], contract(RULE, promote="{}"), [0.80, 0.81, 0.82])
    _, pipeline = a_request(trail, [0.85, 0.86, 0.87], {FILE_NAME: "version: 2"})
    page = (Path(__file__).parents[3] / "docs/reference/report.md").read_text()

    def keys(value: Any) -> Iterator[str]:
        if isinstance(value, dict):
            for key, inner in value.items():
                yield key
                if key not in ("metrics", "params") or isinstance(inner, list):
                    yield from keys(inner)
        if isinstance(value, list):
            for inner in value:
                yield from keys(inner)

    assert sorted(key for key in set(keys(trail.report(pipeline))) if f"`{key}`" not in page) == []
