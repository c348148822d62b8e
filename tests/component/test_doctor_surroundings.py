"""`mltrail doctor`: what stands around the token: logins that replace it, proxies, authorities, code, left-overs."""

import json
from pathlib import Path
from typing import Any

import certifi
import pytest

from tests.component.conftest import Job
from tests.component.doctor import a_setup, doctor, problems, token

pytestmark = pytest.mark.usefixtures("in_an_empty_folder")


def problem_lines(job: Job, **variables: str) -> dict[str, str]:
    """The problems that are found, each with the line that mends it."""
    code, checks = doctor(job, token(job), **variables)
    wrong = {name: check for name, check in checks.items() if not check["ok"]}
    assert code == (1 if wrong else 0)
    assert all(check["fix"] for check in wrong.values()), wrong
    return {name: f"{check['message']} | {check['fix']}" for name, check in wrong.items()}


def noted(job: Job, name: str, **variables: str) -> str:
    """The message of a check that is no problem."""
    code, checks = doctor(job, token(job), **variables)
    assert (code, checks[name]["ok"]) == (0, True)
    return str(checks[name]["message"])


@pytest.mark.parametrize("job_has", [{}, {"MLFLOW_TRACKING_URI": ""}])
def test_the_token_that_is_missing_is_the_one_that_the_job_needs(job: Job, job_has: dict[str, str]) -> None:
    needed = "MLFLOW_TRACKING_TOKEN" if not job_has else "MLTRAIL_TOKEN"
    job.environment.setenv("MLTRAIL_SERVER", job.server.url)
    wrong = problems(doctor(job, "", **job_has))["token"]
    assert needed in wrong
    assert "extends" in wrong
    _, checks = doctor(job, "", **job_has)
    assert checks["token"]["fix"] == f"id_tokens: {{{needed}: {{aud: {job.server.url}}}}}"


def test_a_training_job_needs_more_than_the_commands_token(job: Job) -> None:
    job.environment.delenv("MLFLOW_TRACKING_TOKEN")
    for command in ("runs", "doctor"):
        code, out, error = job.run(command)
        assert code in {1, 2}
        assert "id_tokens: {MLFLOW_TRACKING_TOKEN:" in out + error
    job.environment.setenv("MLTRAIL_TOKEN", token(job))
    assert "MLFLOW_TRACKING_TOKEN, which is not set" in problems(doctor(job, ""))["token of MLflow"]


@pytest.mark.parametrize("around", ["{}\n", "{}\r\n", " {}", "{}\t"])
def test_a_token_that_mlflow_would_print(job: Job, around: str) -> None:
    code, checks = doctor(job, around.format(token(job)))
    assert code == 1
    assert checks["audience"]["ok"]
    job.environment.setenv("NO_COLOR", "1")
    out = job.run("doctor")[1]
    assert "PROBLEM  token: MLFLOW_TRACKING_TOKEN has a line break or a space" in out
    assert "fix it: export MLFLOW_TRACKING_TOKEN=" in out


@pytest.mark.parametrize(
    ("place", "text", "found"),
    [
        ("~/.netrc", "machine 127.0.0.1\nlogin gitlab-ci-token\npassword s3cr3t-s3cr3t\n", "machine 127.0.0.1"),
        ("~/.netrc", "machine 127.0.0.1 login a password s3cr3t-s3cr3t", "machine 127.0.0.1"),
        ("~/_netrc", "default login someone password s3cr3t-s3cr3t\n", "default"),
        ("$NETRC", "machine other login a password b\ndefault\nlogin someone\npassword s3cr3t-s3cr3t\n", "default"),
        ("~/.netrc", "machine other.example.com login a password b\n", None),
        ("~/.netrc", "machine 127.0.0.1 login", None),
        ("~/.netrc", "# nothing\n", None),
        ("$NETRC", None, None),
    ],
)
def test_a_netrc_that_replaces_the_token(
    job: Job, tmp_path: Path, place: str, text: str | None, found: str | None
) -> None:
    path = tmp_path / place.removeprefix("~/")
    if place == "$NETRC":
        job.environment.setenv("NETRC", str(path))
    if text is not None:
        path.write_text(text)
        path.chmod(0o600)
    wrong = problem_lines(job)
    assert set(wrong) == ({"netrc"} if found else set())
    if found:
        assert found in wrong["netrc"]
        assert str(path) in wrong["netrc"]
        assert "NETRC=/dev/null" in wrong["netrc"]
        assert "s3cr3t" not in wrong["netrc"]


def test_an_empty_netrc_wins_over_the_one_at_home(job: Job, tmp_path: Path) -> None:
    (tmp_path / ".netrc").write_text("default login a password b\n")
    assert problem_lines(job, NETRC="/dev/null") == {}


def test_a_login_in_the_uri(job: Job) -> None:
    uri = f"{job.server.url}/api/v4/projects/42/ml/mlflow"
    wrong = problem_lines(job, MLFLOW_TRACKING_URI=uri.replace("://", "://me:s3cr3t-s3cr3t@"))
    assert set(wrong) == {"login in the URI"}
    assert wrong["login in the URI"].endswith(f"| export MLFLOW_TRACKING_URI={uri}")
    assert "s3cr3t" not in str(wrong)


def test_credentials_that_mlflow_keeps_at_home(job: Job, tmp_path: Path) -> None:
    (tmp_path / ".mlflow").mkdir()
    kept = tmp_path / ".mlflow/credentials"
    kept.write_text("[mlflow]\nmlflow_tracking_username = me\nmlflow_tracking_password = s3cr3t%s\n")
    assert "instead of the token" in problem_lines(job)["basic auth"]
    kept.write_text("[mlflow]\nmlflow_tracking_username = me\n")
    assert problem_lines(job) == {}
    assert "instead of the token" in problem_lines(job, MLFLOW_TRACKING_PASSWORD="s3cr3t-s3cr3t")["basic auth"]
    kept.write_bytes(b"\xff no ini")
    assert problem_lines(job) == {}


@pytest.mark.parametrize("name", ["MLFLOW_TRACKING_AWS_SIGV4", "MLFLOW_TRACKING_AUTH"])
def test_another_way_to_sign(job: Job, name: str) -> None:
    assert f"unset {name}" in problem_lines(job, **{name: "true"})[name]


def test_models_that_go_elsewhere(job: Job) -> None:
    assert (
        "MLFLOW_REGISTRY_URI"
        in problem_lines(job, MLFLOW_REGISTRY_URI="https://x:s3cr3t@old.example.com")["registry URI"]
    )
    assert problem_lines(job, MLFLOW_REGISTRY_URI=f"{job.server.url}/api/v4/projects/42/ml/mlflow") == {}


def lay_experiment(job: Job, name: str | None) -> None:
    call = f"GET {job.base}/mlflow/api/2.0/mlflow/experiments/get?experiment_id=7"
    if name is None:
        job.server.lay(call, {"message": "No experiment 7."}, status=404)
    else:
        job.server.lay(call, {"experiment": {"name": name}})


def test_an_experiment_that_was_left_over(job: Job) -> None:
    lay_experiment(job, None)
    assert "can't be read here" in problem_lines(job, MLFLOW_EXPERIMENT_ID="7")["MLFLOW_EXPERIMENT_ID"]
    lay_experiment(job, "churn")
    assert noted(job, "MLFLOW_EXPERIMENT_ID") == "it names the experiment 'churn'"
    assert "'fraud'" in problem_lines(job, MLFLOW_EXPERIMENT_NAME="fraud")["MLFLOW_EXPERIMENT_ID"]


def test_gitlab_does_not_show_the_project_to_the_bot(job: Job) -> None:
    message = "GitLab has no such project 42, or does not show it to this token."
    job.server.lay(f"GET {job.base}/setup", {"message": message}, status=404)
    wrong = problem_lines(job)
    assert "the bot is not a member" in wrong["bot"]
    assert "Invite members" in wrong["bot"]


def test_a_bot_that_is_no_member_can_be_invited(job: Job) -> None:
    job.server.lay(f"GET {job.base}/setup", a_setup(bot={"ok": False, "problem": "mltrail's bot is not a member"}))
    assert "Invite members" in problem_lines(job)["bot"]


# Proxies and authorities


def test_a_proxy_that_works_is_noted(job: Job) -> None:
    for path, body in (("/healthz", {}), ("/api/v4/projects/42/ml/setup", a_setup())):
        job.server.lay(f"GET http://mltrail.internal{path}", body)
    variables = {
        "MLFLOW_TRACKING_URI": "http://mltrail.internal/api/v4/projects/42/ml/mlflow",
        "http_proxy": job.server.url.removeprefix("http://"),
    }
    code, checks = doctor(job, token(job, aud="http://mltrail.internal"), **variables)
    assert code == 0, checks
    assert "without a scheme" in checks["proxy"]["message"]
    assert checks["proxy"]["fix"] == f"export http_proxy={job.server.url}"


@pytest.mark.parametrize(
    ("entry", "why"),
    [
        ("*.127.0.0.1,127.0.0.0/255.0.0.0", "IPv4"),
        ("http://127.0.0.1", "without scheme"),
        ("127.0.0.0/255.0.0.0", "only IPv4 networks"),
    ],
)
def test_entries_of_no_proxy_that_mean_the_server_and_don_t_count(job: Job, entry: str, why: str) -> None:
    wrong = problem_lines(job, http_proxy="http://user:s3cr3t-s3cr3t@127.0.0.1:9", no_proxy=entry, NO_PROXY=entry)
    assert {"server", "proxy", "NO_PROXY"} == set(wrong)
    assert why in wrong["NO_PROXY"]
    assert "127.0.0.1" in wrong["NO_PROXY"].partition("|")[2]
    assert "s3cr3t" not in str(wrong)


def test_a_network_that_the_servers_name_leads_into(job: Job) -> None:
    uri = job.server.url.replace("127.0.0.1", "localhost") + "/api/v4/projects/42/ml/mlflow"
    wrong = problem_lines(
        job, MLFLOW_TRACKING_URI=uri, http_proxy="127.0.0.1:9", no_proxy="127.0.0.0/8", NO_PROXY="127.0.0.0/8"
    )
    assert "it contains the server's address 127.0.0.1" in wrong["NO_PROXY"]


def test_a_network_that_counts(job: Job) -> None:
    assert problem_lines(job, http_proxy="127.0.0.1:9", no_proxy="10.0.0.0/8, 127.0.0.0/8", NO_PROXY="") == {}


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize(
    ("variables", "says"),
    [
        ({"SSL_CERT_FILE": "a"}, 'export REQUESTS_CA_BUNDLE="$SSL_CERT_FILE"'),
        ({"SSL_CERT_FILE": "a", "REQUESTS_CA_BUNDLE": "b"}, "different files"),
        ({"SSL_CERT_FILE": "a", "CURL_CA_BUNDLE": "b"}, "different files"),
        ({"SSL_CERT_FILE": "a", "MLFLOW_TRACKING_SERVER_CERT_PATH": "b"}, "different files"),
        ({"SSL_CERT_FILE": "a", "REQUESTS_CA_BUNDLE": "a"}, None),
        ({"SSL_CERT_FILE": "a", "REQUESTS_CA_BUNDLE": "copy of a"}, None),
        ({"REQUESTS_CA_BUNDLE": "missing"}, "REQUESTS_CA_BUNDLE is"),
        ({"SSL_CERT_FILE": "missing"}, "SSL_CERT_FILE is"),
        ({"MLFLOW_TRACKING_INSECURE_TLS": "true"}, "does not check certificates"),
        ({"MLFLOW_TRACKING_INSECURE_TLS": "false"}, None),
    ],
)
def test_authorities(job: Job, tmp_path: Path, scheme: str, variables: dict[str, str], says: str | None) -> None:
    (tmp_path / "a").write_bytes(Path(certifi.where()).read_bytes())
    (tmp_path / "copy of a").write_bytes((tmp_path / "a").read_bytes())
    (tmp_path / "b").write_bytes((tmp_path / "a").read_bytes() + b"\n")
    for name, value in variables.items():
        job.environment.setenv(name, value if value in {"true", "false"} else str(tmp_path / value))
    uri = job.server.url.replace("http:", f"{scheme}:") + "/api/v4/projects/42/ml/mlflow"
    _, checks = doctor(job, token(job), MLFLOW_TRACKING_URI=uri)
    assert ("certificates" in checks) is (says is not None)
    if says:
        found = checks["certificates"]
        assert found["ok"] is (scheme == "http")
        assert says in f"{found['message']} | {found['fix']}"


# Code

OLD = "http://old-mlflow.example.com"


@pytest.mark.parametrize(
    "code",
    [
        f"import mlflow\nmlflow.set_tracking_uri('{OLD}')",
        f"from mlflow import set_tracking_uri\nset_tracking_uri(uri='{OLD}')",
        f"URI = '{OLD}'\ndef main():\n    mlflow.set_tracking_uri(URI)",
        f"URI: str = '{OLD}'\nmlflow.set_tracking_uri(URI)",
        f"client = mlflow.MlflowClient('{OLD}')",
        f"client = MlflowClient(tracking_uri='{OLD}')",
        f"logger = MLFlowLogger(experiment_name='x', tracking_uri='{OLD}')",
        f"import os\nos.environ['MLFLOW_TRACKING_URI'] = '{OLD}'",
        f"if os.environ.get('CI'):\n    mlflow.set_tracking_uri('{OLD}')",
        f"if not os.environ.get('CI'):\n    pass\nelse:\n    mlflow.set_tracking_uri('{OLD}')",
        f"print 'Python 2'\nmlflow.set_tracking_uri('{OLD}')",
    ],
)
@pytest.mark.parametrize("kind", ["py", "ipynb"])
def test_code_that_sends_mlflow_elsewhere(job: Job, code: str, kind: str) -> None:
    folder = Path("src/models")
    folder.mkdir(parents=True)
    cell = {"cell_type": "code", "source": [line + "\n" for line in ["%matplotlib inline", *code.split("\n")]]}
    notebook = json.dumps({"cells": [{"cell_type": "markdown", "source": "#"}, cell]})
    (folder / f"train.{kind}").write_text(code if kind == "py" else notebook)
    wrong = problem_lines(job)
    assert set(wrong) == {"code"}
    assert f"src/models/train.{kind}" in wrong["code"]
    assert OLD in wrong["code"]
    assert 'if "MLFLOW_TRACKING_URI" not in os.environ' in wrong["code"]


@pytest.mark.parametrize(
    "code",
    [
        "# mlflow.set_tracking_uri('http://old')",
        "'''mlflow.set_tracking_uri(\"http://old\")'''",
        "mlflow.set_tracking_uri(os.environ['MLFLOW_TRACKING_URI'])",
        "mlflow.set_tracking_uri(os.getenv('MLFLOW_TRACKING_URI', 'http://localhost:5000'))",
        "if 'MLFLOW_TRACKING_URI' not in os.environ:\n    mlflow.set_tracking_uri('http://localhost:5000')",
        "if not os.getenv('CI'):\n    mlflow.set_tracking_uri('http://localhost:5000')",
        "os.environ.setdefault('MLFLOW_TRACKING_URI', 'http://localhost:5000')",
        "MlflowClient(tracking_uri=None)",
        "logger = MLFlowLogger(tracking_uri=config.uri)",
    ],
)
def test_code_that_does_not(job: Job, code: str) -> None:
    Path("train.py").write_text(code)
    _, checks = doctor(job, token(job))
    assert "code" not in checks


def test_code_that_only_a_run_can_tell(job: Job) -> None:
    Path("train.py").write_text("mlflow.set_tracking_uri(config.uri)")
    assert "train.py:1 may set a tracking URI other" in noted(job, "code")


def test_code_of_this_very_server_and_code_of_others(job: Job) -> None:
    right = f"mlflow.set_tracking_uri('{job.server.url}/api/v4/projects/42/ml/mlflow')"
    wrong = f"mlflow.set_tracking_uri('{OLD}')"
    for place, code in {
        "train.py": right,
        ".venv/lib/train.py": wrong,
        "env310/pyvenv.cfg": "",
        "env310/lib/x.py": wrong,
        "node_modules/x.py": wrong,
        "tests/test_train.py": wrong,
        "conftest.py": wrong,
        "large.py": wrong + "\n#" + "x" * 1_100_000,
        "empty.py": "",
        "binary.py": "\0",
        "bad.ipynb": "{",
    }.items():
        Path(place).parent.mkdir(parents=True, exist_ok=True)
        Path(place).write_text(code)
    Path("loop").symlink_to(".")
    Path("dangling.py").symlink_to("nowhere")
    assert problem_lines(job) == {}


def test_secrets_in_code_are_not_shown(job: Job) -> None:
    Path("train.R").write_text("mlflow_set_tracking_uri('http://me:s3cr3t-s3cr3t@old.example.com')")
    wrong = problem_lines(job)
    assert "train.R:1" in wrong["code"]
    assert "s3cr3t" not in str(wrong)


# Mlflow's own client


def fake_python(folder: Path, script: str) -> Path:
    folder.mkdir()
    python = folder / "python"
    python.write_text(f"#!/bin/sh\n{script}\n")
    python.chmod(0o755)
    return python


@pytest.mark.parametrize(
    ("script", "ok"),
    [
        ("""/bin/echo 'mltrail-doctor:{"version": "3.18.0", "error": ""}'""", True),
        (
            """/bin/echo 'noise'; /bin/echo 'mltrail-doctor:{"version": "3.18.0", "error": "X: http://a:s3cr3t@b"}'""",
            False,
        ),
        ("exit 3", None),
        ("""/bin/echo 'mltrail-doctor:{'""", None),
    ],
)
def test_what_mlflows_client_says(job: Job, tmp_path: Path, script: str, ok: bool | None) -> None:
    python = fake_python(tmp_path / "bin", script)
    job.environment.setenv("PATH", str(python.parent))
    code, checks = doctor(job, token(job))
    found: dict[str, Any] | None = checks.get("MLflow's client")
    assert (found and found["ok"]) is ok
    assert code == (1 if ok is False else 0)
    assert "s3cr3t" not in str(found)
