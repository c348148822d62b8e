"""`mltrail-server import --from-gitlab`, from its options to what clients see in the project here."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from mltrail_server import cli
from mltrail_server.domain.ids import ProjectId
from mltrail_server.domain.origins import IMPORTED_TAG
from mltrail_server.services.context.deps import Deps
from mltrail_server.settings import Settings
from mltrail_server.store.ci import jobs
from mltrail_server.store.tracking import candidates
from tests.fakes.gitlab import FakeGitLab
from tests.fakes.gitlab_history import LONG, Made, fill
from tests.mlflow_client import FILES, MISSING, Mlflow
from tests.team import Team, team_in

BACKENDS = ("sqlite",)
Lines = list[str]


@dataclass
class Exit:
    code: int
    counts: dict[str, tuple[int, int]]
    notes: Lines
    differences: Lines
    errors: str


@pytest.fixture
def made(team: Team) -> Made:
    team.gitlab.version = "18.11.2-ee"
    return fill(team)


@pytest.fixture
def run(
    team: Team,
    gitlab_deps: Deps,
    gitlab_settings: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Callable[..., Exit]:
    """Import as an operator does, into the project of the same number at the server beside this GitLab."""
    del gitlab_deps
    variables = gitlab_settings.to_environment() | {"MLTRAIL_IMPORT_TOKEN": team.tokens["developer"]}
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    report = tmp_path / "report.jsonl"

    def command(*options: str) -> Exit:
        asked = ["--from-gitlab", team.gitlab.url, "--gitlab-project", team.project.path, "--project", "42"]
        report.write_text("")
        code = cli.main(["import", *asked, "--quiet", "--json", "--report", str(report), *options])
        printed = capsys.readouterr()
        found = [json.loads(line) for line in report.read_text().splitlines()]
        lines = {
            kind: [f"{one['owner']}: {one['text']}" for one in found if (one["kind"] == "note") is kind]
            for kind in (True, False)
        }
        projects = json.loads(printed.out).get("projects", []) if printed.out else []
        counts = {name: (each["source"], each["here"]) for one in projects for name, each in one["counts"].items()}
        return Exit(code, counts, lines[True], lines[False], printed.err)

    return command


@pytest.fixture
def here(team: Team, gitlab_client: FlaskClient) -> Mlflow:
    return Mlflow(gitlab_client, project="42", token=team.tokens["developer"])


def history(here: Mlflow, eid: str, key: str) -> list[Any]:
    found: list[Any] = here.get("metrics/get-history", run_id=eid, metric_key=key, max_results=25_000)["metrics"]
    return found


def file_of(here: Mlflow, root: str, path: str) -> bytes:
    where = root.removeprefix("mlflow-artifacts:/").strip("/")
    answer = here.call("GET", f"{FILES}/{where}/{path}")
    assert answer.status_code == 200
    return answer.data


def info(here: Mlflow, eid: str) -> Any:
    return here.get("runs/get", run_id=eid)["run"]["info"]


def test_everything_comes_and_a_second_import_changes_nothing(run: Any, here: Mlflow, made: Made, team: Team) -> None:
    first = run()
    assert (first.code, first.differences, first.errors) == (0, [], "")
    assert first.counts == {
        "experiments": (3, 3),
        "runs": (6, 6),
        "parameters": (2, 2),
        "tags": (1, 1),
        "metric points": (LONG + 2, LONG + 2),
        "registered models": (2, 2),
        "versions": (2, 2),
        "files": (5, 5),
        "bytes of files": (46, 46),
    }
    asked = len(team.gitlab.requests)
    again = run()
    assert (again.code, again.counts, again.differences) == (0, first.counts, [])
    read = [path for _, path in team.gitlab.requests[asked:]]
    assert [path for path in read if "/files/" in path or "/artifacts/" in path] == []
    assert len([path for path in read if path.endswith("get-history")]) == 1
    assert [one["step"] for one in history(here, made.fits.eid, "loss")] == list(range(LONG))


def test_runs_keep_what_they_were(run: Any, here: Mlflow, made: Made) -> None:
    run()
    found = here.get("runs/get", run_id=made.fits.eid)["run"]
    assert "-" in made.fits.eid
    assert (found["info"]["run_id"], found["info"]["run_name"]) == (made.fits.eid, "fit")
    assert (found["info"]["user_id"], found["info"]["start_time"]) == ("developer", made.fits.started_ms)
    assert info(here, made.bare.eid)["user_id"] == "9999"
    assert info(here, made.bare.eid)["status"] == "RUNNING"
    tags = {one["key"]: one["value"] for one in found["data"]["tags"]}
    assert tags["mlflow.source.name"] == "train.py"
    assert tags[IMPORTED_TAG].startswith("GitLab 18.11.2-ee at http")
    assert file_of(here, found["info"]["artifact_uri"], "plots/roc curve.png") == b"png"
    assert file_of(here, info(here, made.old.eid)["artifact_uri"], "notes.txt") == b"hello"
    of_model = here.get("experiments/get-by-name", experiment_name="[model]churn")["experiment"]["experiment_id"]
    inside = here.post("runs/search", experiment_ids=[of_model])["runs"]
    assert {one["info"]["run_name"] for one in inside} == {"winner", "tried", "brave-yak-12"}


def test_versions_are_found_by_semver_and_by_number(run: Any, here: Mlflow, made: Made) -> None:
    run()
    number = str(made.versions[1].id)
    by_semver = here.get("model-versions/get", name="churn", version="1.2.3")["model_version"]
    by_number = here.get("model-versions/get", name="churn", version=number)["model_version"]
    by_alias = here.get("registered-models/alias", name="churn", alias="1.2.3")["model_version"]
    assert by_semver == by_number == by_alias
    assert (by_semver["version"], by_semver["run_id"]) == (number, made.promoted.eid)
    assert "/-/ml/models/1/versions/" in by_semver["run_link"]
    assert by_semver["creation_timestamp"] == 1_760_000_100_000
    uri = here.get("model-versions/get-download-uri", name="churn", version="1.2.3")["artifact_uri"]
    assert file_of(here, uri, "model/MLmodel") == b"flavors: {}"
    first = here.get("model-versions/get-download-uri", name="churn", version=str(made.versions[0].id))
    assert file_of(here, first["artifact_uri"], "MLmodel") == b"flavors: {old: 1}"
    model = here.get("registered-models/get", name="churn")["registered_model"]
    assert (model["description"], model["user_id"]) == ("Who leaves", "maintainer")
    after = here.post("model-versions/create", name="churn")["model_version"]
    assert (int(after["version"]), after["aliases"]) == (made.versions[1].id + 1, ["1.2.4"])


def test_a_version_without_its_run_has_its_files(run: Any, here: Mlflow, made: Made) -> None:
    found = run("--model", "churn")
    assert (found.code, found.counts["versions"], "runs" in found.counts) == (0, (2, 2), False)
    uri = here.get("model-versions/get-download-uri", name="churn", version="1.2.3")["artifact_uri"]
    assert file_of(here, uri, "model/MLmodel") == b"flavors: {}"
    assert here.error("GET", "runs/get", run_id=made.promoted.eid)[:2] == MISSING


def test_a_later_import_brings_only_what_is_new(run: Any, here: Mlflow, made: Made) -> None:
    run()
    first, second = made.versions
    made.ml.delete(made.model, first)
    third = made.ml.version(made.model, "1.2.4", of=made.tried)
    made.bare.values = [("loss", 0.5, made.fits.started_ms, 3)]
    made.bare.status, made.bare.ended_ms = "FINISHED", made.fits.ended_ms
    late = made.ml.run(made.churn, "late", user_id=made.fits.user_id)
    made.ml.upload(late, "late.txt", b"late")

    found = run()

    assert (found.code, found.differences) == (0, [])
    assert info(here, late.eid)["run_name"] == "late"
    assert info(here, made.bare.eid)["status"] == "FINISHED"
    assert len(history(here, made.bare.eid, "loss")) == 1
    numbers = {
        semver: here.get("model-versions/get", name="churn", version=semver)["model_version"]["version"]
        for semver in ("1.0.0", "1.2.3", "1.2.4")
    }
    assert numbers == {"1.0.0": str(first.id), "1.2.3": str(second.id), "1.2.4": str(third.id)}
    uri = here.get("model-versions/get-download-uri", name="churn", version="1.2.4")["artifact_uri"]
    assert file_of(here, uri, "weights.bin") == b"\0" * 10


def test_histories_become_complete_once_gitlab_tells_them(run: Any, here: Mlflow, made: Made, team: Team) -> None:
    team.gitlab.version = "18.10.4"
    before = run()
    assert (before.code, before.counts["metric points"]) == (0, (3, 3))
    assert [one for one in before.notes if "newest value" in one] == [
        "project: this GitLab returns only the newest value of a metric; GitLab 18.11 and later return all"
    ]
    assert [one["step"] for one in history(here, made.fits.eid, "loss")] == [LONG - 1]
    assert run().counts == before.counts
    team.gitlab.version = "18.11.0"
    after = run()
    assert (after.code, after.counts["metric points"]) == (0, (LONG + 2, LONG + 2))
    assert [one["step"] for one in history(here, made.fits.eid, "loss")] == list(range(LONG))
    assert after.counts["files"] == before.counts["files"]


@pytest.mark.parametrize("owner", ["fits", "promoted", "tried", "old"])
def test_a_file_that_is_not_what_gitlab_says_is_found(run: Any, made: Made, owner: str) -> None:
    of_run = getattr(made, owner)
    package = of_run.package
    (path,) = package.files
    package.digests[path] = "0" * 64
    found = run()
    assert found.code == 1
    (line,) = found.differences
    assert line.startswith(f"run {of_run.eid}: {path}: its content does not match the SHA-256")
    package.digests.clear()
    assert run().code == 0


def test_a_job_is_a_claim_and_no_evidence(run: Any, here: Mlflow, made: Made, team: Team, gitlab_deps: Deps) -> None:
    job = team.job()
    made.fits.tags["gitlab.CI_JOB_ID"] = str(job.id)
    made.tried.tags["gitlab.CI_JOB_ID"] = "999999"
    assert run().code == 0
    with gitlab_deps.project(ProjectId(42)).read() as tx:
        (tie,) = jobs.ties_of(tx, iid_of(tx, made.fits.eid))
        assert jobs.ties_of(tx, iid_of(tx, made.tried.eid)) == []
    assert (tie.job_id, tie.verified) == (job.id, False)
    tags = {one["key"]: one["value"] for one in here.get("runs/get", run_id=made.fits.eid)["run"]["data"]["tags"]}
    assert tags["gitlab.CI_JOB_ID"] == str(job.id)
    assert "gitlab.verified" not in tags


def test_a_job_of_another_gitlab_is_none_of_ours(
    run: Any, team: Team, gitlab_deps: Deps, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = team.job()
    with FakeGitLab() as other:
        there = team_in(other)
        made = fill(there)
        made.fits.tags["gitlab.CI_JOB_ID"] = str(job.id)
        monkeypatch.setenv("MLTRAIL_IMPORT_TOKEN", there.tokens["developer"])
        assert run("--from-gitlab", other.url).code == 0
    with gitlab_deps.project(ProjectId(42)).read() as tx:
        assert jobs.ties_of(tx, iid_of(tx, made.fits.eid)) == []


def iid_of(tx: Any, eid: str) -> int:
    found = candidates.get(tx, eid)
    assert found is not None
    return found.iid


def test_a_limit_a_loss_and_no_rights(run: Any, made: Made, team: Team, monkeypatch: pytest.MonkeyPatch) -> None:
    team.gitlab.fail_next("POST", "runs/search$", 429, headers={"Retry-After": "0"})
    for _ in range(7):
        team.gitlab.fail_next("GET", "artifacts/candidate:1/plots", 502, headers={"Retry-After": "0"})
    found = run()
    assert (found.code, found.counts["files"]) == (1, (5, 4))
    assert [line.partition(": The server")[0] for line in found.differences] == [
        f"run {made.fits.eid}: plots/roc curve.png"
    ]
    assert run().code == 0
    token = team.gitlab.add_token(team.users["reporter"], ["api"])
    monkeypatch.setenv("MLTRAIL_IMPORT_TOKEN", token)
    refused = run()
    assert (refused.code, refused.counts) == (2, {})
    assert "the scope `api`, and its user needs at least the Developer role" in refused.errors
    assert token not in refused.errors


def test_an_empty_project_and_a_dry_run(run: Any, here: Mlflow, team: Team) -> None:
    empty = run()
    assert (empty.code, empty.counts, empty.differences) == (0, {}, [])
    made = fill(team)
    assert run("--rehearse").code == 0
    dry = run("--dry-run")
    assert (dry.code, dry.counts["runs"][0]) == (0, 6)
    assert here.error("GET", "runs/get", run_id=made.fits.eid)[:2] == MISSING
