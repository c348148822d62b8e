"""`mltrail promote`: what it asks for and what it says."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.component.conftest import Job
from tests.component.server import a_promotion


def promote(job: Job, *arguments: str, **changes: Any) -> str:
    job.server.lay(f"POST {job.base}/promotions", {"promotions": [a_promotion(**changes)]})
    code, output, error = job.run("promote", *arguments)
    assert (code, error) == (0, "")
    return output


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({}, "churn 1.1.0 (minor: learning_rate 0.05 → 0.2) is now champion, was 1.0.0"),
        (
            {"replaces": {"version": "1.0.0"}},
            "churn 1.1.0 (minor: learning_rate 0.05 → 0.2) is now champion, was 1.0.0",
        ),
        ({"replaces": None, "reason": "", "bump": None}, "churn 1.1.0 is now champion"),
        ({"state": "already"}, "churn 1.1.0 is already champion"),
        ({"state": "dry_run"}, "churn 1.1.0 (minor: learning_rate 0.05 → 0.2) would become champion, was 1.0.0"),
        (
            {"state": "nothing", "version": None, "reason": "the branch is not protected"},
            "churn: not promoted: the branch is not protected",
        ),
    ],
)
def test_it_says_what_became_of_the_model(job: Job, changes: dict[str, Any], says: str) -> None:
    assert promote(job, **changes).startswith(says)


def test_it_says_which_prompts_moved_with_the_model(job: Job) -> None:
    moved = {"name": "qa", "alias": "production", "version": 2, "replaces": 1}
    new, same = moved | {"name": "chat", "replaces": None}, moved | {"name": "same", "replaces": 2}
    lines = promote(job, prompts=[moved, new, same]).splitlines()
    assert "  production of the prompt qa is now version 2, was 1" in lines
    assert "  production of the prompt chat is now version 2" in lines
    assert not any("same" in line for line in lines)
    assert "  production of the prompt qa would be version 2, was 1" in promote(job, prompts=[moved], state="dry_run")


def test_a_pipeline_without_candidates(job: Job) -> None:
    job.server.lay(f"POST {job.base}/promotions", {"promotions": []})
    assert job.run("promote")[1] == "Nothing to promote: this pipeline has no candidates.\n"


def test_only_what_was_wished_is_sent(job: Job) -> None:
    promote(
        job, "--model", "", "--rank-by", "", "--better", "auto", "--bump", "auto", "--version", "", "--dry-run=false"
    )
    assert job.server.asked[0].body == {"pipeline_id": 1001, "dry_run": False}


def test_all_that_was_wished_is_sent(job: Job) -> None:
    promote(
        job,
        *("--model", "churn", "--alias", "challenger", "--rank-by", "val_auc", "--better", "higher"),
        *("--bump", "major", "--version", "v2.0.0", "--dry-run"),
    )
    assert job.server.asked[0].body == {
        "pipeline_id": 1001,
        "model": "churn",
        "alias": "challenger",
        "rank_by": "val_auc",
        "better": "higher",
        "bump": "major",
        "version": "2.0.0",
        "dry_run": True,
    }


def test_a_refusal_of_the_model_fails_the_job(job: Job) -> None:
    refused = a_promotion(state="refused", version=None, reason="the gate is red: accuracy: 0.7 is less")
    job.server.lay(f"POST {job.base}/promotions", {"promotions": [refused]})
    code, output, _ = job.run("promote")
    assert (code, output.startswith("churn: refused: the gate is red")) == (1, True)


def test_a_person_names_a_run(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI_PIPELINE_ID")
    promote(job, "--candidate", "17")
    assert job.server.asked[0].body == {"candidate": 17, "dry_run": False}


def test_a_pre_release_has_no_alias(job: Job) -> None:
    output = promote(job, "--pre-release", version="1.1.0-rc.1", alias=None, replaces=None, bump=None, reason="")
    assert output.startswith("churn 1.1.0-rc.1 is now there to try out")
    assert job.server.asked[0].body["pre_release"] is True


def test_later_jobs_get_the_version(job: Job, tmp_path: Path) -> None:
    promote(job, "--dotenv", str(tmp_path / "env"), "--annotations", str(tmp_path / "links"))
    assert "MLTRAIL_VERSION=1.1.0\n" in (tmp_path / "env").read_text()
    links = json.loads((tmp_path / "links").read_text())["mltrail"]
    assert links[0]["external_link"]["label"] == "churn 1.1.0"


def test_versions_of_several_models_have_variables_of_their_own(job: Job, tmp_path: Path) -> None:
    both = [a_promotion(), a_promotion(model="up-sell", version="3.0.0"), a_promotion(model="idle", state="nothing")]
    job.server.lay(f"POST {job.base}/promotions", {"promotions": both})
    job.run("promote", "--dotenv", str(tmp_path / "env"))
    lines = (tmp_path / "env").read_text().splitlines()
    assert {"MLTRAIL_VERSION_CHURN=1.1.0", "MLTRAIL_VERSION_UP_SELL=3.0.0"} <= set(lines)
    assert not [line for line in lines if "IDLE" in line]


def test_a_dotenv_of_many_models_is_no_larger_than_gitlab_takes(job: Job, tmp_path: Path) -> None:
    many = [a_promotion(model=f"model-{number}-{'x' * 200}", version=f"1.0.{number}") for number in range(30)]
    job.server.lay(f"POST {job.base}/promotions", {"promotions": many})
    job.run("promote", "--dotenv", str(tmp_path / "env"))
    text = (tmp_path / "env").read_text()
    assert len(text.splitlines()) <= 20
    assert len(text) <= 5120
    assert text.startswith("MLTRAIL_VERSION_MODEL_0_X")


def test_a_refusal_says_why_and_what_to_try(job: Job) -> None:
    job.server.lay(f"POST {job.base}/promotions", {"message": "The branch faster is not protected."}, status=403)
    code, _, error = job.run("promote")
    assert code == 3
    assert error.startswith(f"mltrail: POST {job.server.url}{job.base}/promotions returned 403: The branch faster")
    assert "mltrail doctor" in error


COMPARED = {
    "version": "1.0.0",
    "why_not": "",
    "metrics": [
        {
            "name": "val_accuracy",
            "direction": "higher",
            "before": 0.8,
            "now": 0.9,
            "standing": "better",
            "sentence": "0.800 → 0.900 (+10 pp)",
        }
    ],
}


@pytest.mark.parametrize("state", ["promoted", "dry_run"])
def test_it_says_how_the_version_compares_with_the_one_that_it_replaces(job: Job, state: str) -> None:
    output = promote(job, state=state, comparison=COMPARED)
    assert "  compared with 1.0.0:\n    val_accuracy (higher is better): better, 0.800 → 0.900 (+10 pp)\n" in output


def test_it_says_that_the_version_was_imported(job: Job) -> None:
    origin = "imported from MLflow 2.22.1 at https://mlflow.example.com on 2026-11-29, not verified"
    output = promote(job, comparison=COMPARED | {"imported": origin})
    assert f"  compared with 1.0.0 ({origin}):\n" in output


def test_it_says_why_nothing_is_compared(job: Job) -> None:
    first = {"version": None, "why_not": "there is no version to compare with yet", "metrics": []}
    assert "  not compared: there is no version to compare with yet\n" in promote(job, comparison=first)


def test_a_refusal_shows_the_numbers_too(job: Job) -> None:
    refused = a_promotion(state="refused", version=None, reason="it is worse than champion", comparison=COMPARED)
    job.server.lay(f"POST {job.base}/promotions", {"promotions": [refused]})
    code, output, _ = job.run("promote")
    assert (code, "0.800 → 0.900" in output) == (1, True)


@pytest.mark.parametrize(
    ("holder", "says", "variables"),
    [
        ("1.1.0", "churn 1.1.0 is already champion", {"VERSION": "1.1.0", "ALIAS": "champion"}),
        ("1.0.0", "promoted churn 1.1.0 before; champion stays at 1.0.0", {"VERSION": "1.0.0", "ALIAS": "champion"}),
        (None, "churn 1.1.0 already exists", {"VERSION": "1.1.0"}),
    ],
)
def test_a_rerun_gives_later_jobs_what_the_alias_holds_now(
    job: Job, tmp_path: Path, holder: str | None, says: str, variables: dict[str, str]
) -> None:
    url = "https://mltrail.example.com/team/churn/-/ml/models/churn/versions/"
    held = holder and {"version": holder, "url": f"{url}{holder}"}
    alias = "champion" if holder else None
    output = promote(
        job, "--dotenv", str(tmp_path / "env"), state="already", holder=held, alias=alias, url=f"{url}1.1.0"
    )
    assert says in output
    found = dict(line.split("=", 1) for line in (tmp_path / "env").read_text().splitlines())
    plain = {name: found.get(f"MLTRAIL_{name}") for name in ("VERSION", "ALIAS") if f"MLTRAIL_{name}" in found}
    assert plain == variables
    assert found["MLTRAIL_VERSION_URL"] == f"{url}{variables['VERSION']}"
