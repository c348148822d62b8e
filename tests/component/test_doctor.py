"""`mltrail doctor`: each usual mistake is found and explained."""

from pathlib import Path

import pytest

from tests.component.conftest import Job
from tests.component.doctor import a_setup, doctor, problems, token

pytestmark = pytest.mark.usefixtures("in_an_empty_folder")


def test_all_is_well(job: Job) -> None:
    code, checks = doctor(job, token(job))
    assert code == 0
    assert set(checks) == {
        *("token", "audience", "expiry", "tracking URI", "server", "clock", "access", "bot", "version"),
    }


def test_clocks_that_differ(job: Job) -> None:
    job.server.clock_is_off_by = 300
    assert "differ by" in problems(doctor(job, token(job)))["clock"]


def test_a_slash_at_the_audiences_end_is_fine(job: Job) -> None:
    assert problems(doctor(job, token(job, aud=[f"{job.server.url}/"]))) == {}


def test_another_audience(job: Job) -> None:
    wrong = problems(doctor(job, token(job, aud="https://gitlab.example.com")))
    assert job.server.url in wrong["audience"]


def test_a_token_of_another_job(job: Job) -> None:
    assert "4710" in problems(doctor(job, token(job, job_id="4710")))["token"]


def test_a_variable_that_shadows_the_token(job: Job) -> None:
    assert "CI/CD variable" in problems(doctor(job, "glpat-forgotten"))["token"]


def test_no_token(job: Job) -> None:
    assert "id_tokens" in problems(doctor(job, ""))["token"]


def test_an_expired_token(job: Job) -> None:
    assert "expired" in problems(doctor(job, token(job, exp=1)))["expiry"]


def lay_run(job: Job, pipeline: str | None) -> None:
    tags = [{"key": "gitlab.CI_PIPELINE_ID", "value": pipeline}] if pipeline else []
    job.server.lay(f"GET {job.base}/mlflow/api/2.0/mlflow/runs/get?run_id=abc", {"run": {"data": {"tags": tags}}})


@pytest.mark.parametrize("pipeline", ["999", None])
def test_a_run_id_of_another_pipeline(job: Job, pipeline: str | None) -> None:
    lay_run(job, pipeline)
    wrong = problems(doctor(job, token(job), MLFLOW_RUN_ID="abc"))["MLFLOW_RUN_ID"]
    assert "dotenv" in wrong
    assert (f"pipeline {pipeline}" if pipeline else "no pipeline") in wrong


def test_a_run_id_that_nobody_knows(job: Job) -> None:
    assert "can't be read" in problems(doctor(job, token(job), MLFLOW_RUN_ID="abc"))["MLFLOW_RUN_ID"]


def test_a_run_id_of_this_pipeline_is_fine(job: Job) -> None:
    lay_run(job, "1001")
    assert problems(doctor(job, token(job), MLFLOW_RUN_ID="abc")) == {}


def test_a_branch_pipeline_next_to_an_open_merge_request(job: Job) -> None:
    wrong = problems(doctor(job, token(job), CI_PIPELINE_SOURCE="push", CI_OPEN_MERGE_REQUESTS="team/churn!3"))
    assert "team/churn!3 is open" in wrong["pipeline"]
    assert "rules:" in wrong["pipeline"]


@pytest.mark.parametrize(
    "variables",
    [{"CI_PIPELINE_SOURCE": "merge_request_event"}, {"CI_PIPELINE_SOURCE": "push"}, {"CI_PIPELINE_SOURCE": "web"}],
)
def test_other_pipelines_are_fine(job: Job, variables: dict[str, str]) -> None:
    assert problems(doctor(job, token(job), **variables)) == {}


def test_a_bot_that_is_no_member(job: Job) -> None:
    job.server.lay(f"GET {job.base}/setup", a_setup(bot={"ok": False, "problem": "mltrail's bot is not a member"}))
    assert "not a member" in problems(doctor(job, token(job)))["bot"]


def test_local_mode_has_no_bot(job: Job) -> None:
    job.server.lay(f"GET {job.base}/setup", a_setup(bot=None))
    code, checks = doctor(job, token(job))
    assert (code, "bot" in checks) == (0, False)


def test_a_job_that_may_only_read(job: Job) -> None:
    job.server.lay(f"GET {job.base}/setup", a_setup(access="read", limit="This job runs a fork's code."))
    assert "a fork's code" in problems(doctor(job, token(job)))["access"]


def test_a_server_of_another_version(job: Job) -> None:
    job.server.lay(f"GET {job.base}/setup", a_setup(version="7.0.0"))
    assert "the server 7.0.0" in problems(doctor(job, token(job)))["version"]


def test_a_tracking_uri_of_another_project_or_server(job: Job) -> None:
    wrong = problems(doctor(job, token(job), MLFLOW_TRACKING_URI=f"{job.server.url}/api/v4/projects/43/ml/mlflow"))
    assert "/projects/42/" in wrong["tracking URI"]
    job.environment.setenv("MLFLOW_TRACKING_URI", "https://old-mlflow.example.com")
    code, _, error = job.run("doctor")
    assert (code, "CI/CD variable" in error) == (2, True)


def test_basic_auth_that_mlflow_would_send_instead(job: Job) -> None:
    variables = {"MLFLOW_TRACKING_USERNAME": "me", "MLFLOW_TRACKING_PASSWORD": "secret"}
    wrong = problems(doctor(job, token(job), **variables))["basic auth"]
    assert "instead of the token" in wrong
    assert "secret" not in wrong


@pytest.mark.parametrize(("version", "ok"), [("1.27.0", False), ("1.28.0", True), ("3.18.0rc1", True)])
def test_an_old_mlflow(job: Job, tmp_path: Path, version: str, ok: bool) -> None:
    folder = tmp_path / f"mlflow_skinny-{version}.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: mlflow-skinny\nVersion: {version}\n")
    job.environment.syspath_prepend(str(tmp_path))
    found = doctor(job, token(job))
    assert found[1]["MLflow"]["ok"] is ok
    assert version in found[1]["MLflow"]["message"]


def test_mlflows_token_is_checked_as_well_as_the_commands(job: Job) -> None:
    wrong = problems(doctor(job, "glpat-forgotten", MLTRAIL_TOKEN=token(job)))
    assert list(wrong) == ["token of MLflow"]


def test_no_pipeline_is_needed(job: Job) -> None:
    job.environment.delenv("CI_PIPELINE_ID")
    assert problems(doctor(job, token(job))) == {}


def test_a_refused_token(job: Job) -> None:
    job.server.lay(f"GET {job.base}/setup", {"message": "Unknown issuer."}, status=401)
    assert "Unknown issuer." in problems(doctor(job, token(job)))["access"]


def test_people_read_sentences(job: Job) -> None:
    doctor(job, token(job))
    output = job.run("doctor")[1]
    assert "ok       token: MLFLOW_TRACKING_TOKEN is the ID token of job 4711" in output


def test_it_does_not_send_for_itself(job: Job) -> None:
    job.server.lay(f"GET {job.base}/setup", {"message": "The ID token has expired."}, status=401)
    code, checks = doctor(job, token(job))
    assert code == 1
    assert checks["access"]["message"].endswith("returned 401: The ID token has expired.")


TOKENS = "default: {id_tokens: {VAULT_ID_TOKEN: {aud: https://v.example}, SIGSTORE_ID_TOKEN: {aud: sigstore}}}\n"


def of_default(job: Job, folder: Path, config: str, **variables: str) -> str | None:
    """What the doctor says of the tokens of `default:` where this is the project's file."""
    (folder / variables.get("CI_CONFIG_PATH", ".gitlab-ci.yml")).write_text(config)
    environment = {"CI_PROJECT_DIR": str(folder), "CI_JOB_NAME": "train: [2, a b]", **variables}
    return problems(doctor(job, token(job), **environment)).get("id_tokens of default")


def test_tokens_of_default_that_extends_has_taken_away(job: Job, tmp_path: Path) -> None:
    config = f"{TOKENS}train:\n  extends: .mltrail-track\n  script: [!reference [.a, script]]\n"
    problem = of_default(job, tmp_path, config)
    assert problem is not None
    assert "VAULT_ID_TOKEN, SIGSTORE_ID_TOKEN" in problem
    one_left = str(of_default(job, tmp_path, config, VAULT_ID_TOKEN="a.b.c"))
    assert "SIGSTORE_ID_TOKEN" in one_left
    assert "VAULT_ID_TOKEN" not in one_left
    assert of_default(job, tmp_path, config, VAULT_ID_TOKEN="a.b.c", SIGSTORE_ID_TOKEN="a.b.c") is None


@pytest.mark.parametrize(
    ("config", "why"),
    [
        (TOKENS + "train: {inherit: {default: false}}", "it wants none"),
        (TOKENS + "train: {inherit: {default: [image]}}", "it wants others"),
        ("default: {image: a}\ntrain: {script: [a]}", "there are none"),
        ("default: [", "it can't be read"),
        ("- a", "it is no configuration"),
        ("default: {id_tokens: [a]}", "GitLab would refuse it"),
        ("", "it is empty"),
    ],
)
def test_no_word_of_tokens_of_default(job: Job, tmp_path: Path, config: str, why: str) -> None:
    assert of_default(job, tmp_path, config) is None, why


def test_the_components_own_job_inherits_nothing(job: Job, tmp_path: Path) -> None:
    (tmp_path / ".gitlab-ci.yml").write_text("default: {id_tokens: {VAULT: {aud: https://vault.example.com}}}\n")
    variables = {"CI_PROJECT_DIR": str(tmp_path), "CI_JOB_NAME": "mltrail-doctor"}
    assert "id_tokens of default" in problems(doctor(job, token(job), **variables))
    assert problems(doctor(job, token(job), **variables, MLTRAIL_INPUT_INSTALL="")) == {}


def test_the_configuration_may_have_another_path_and_a_head(job: Job, tmp_path: Path) -> None:
    config = f"spec:\n  inputs: {{a: {{default: b}}}}\n---\n{TOKENS}"
    assert of_default(job, tmp_path, config, CI_CONFIG_PATH="ci.yml")
    assert (
        problems(doctor(job, token(job), CI_PROJECT_DIR=str(tmp_path), CI_CONFIG_PATH="https://x.example/ci.yml")) == {}
    )


@pytest.mark.parametrize("slashes", ["/", "//"])
def test_a_server_with_a_slash_at_its_end_is_the_same(job: Job, slashes: str) -> None:
    """`server: https://mltrail.example.com/` of the components is joined with the path by GitLab."""
    joined = f"{job.server.url}{slashes}api/v4/projects/42/ml/mlflow"
    assert problems(doctor(job, token(job, aud=f"{job.server.url}/"), MLFLOW_TRACKING_URI=joined)) == {}
