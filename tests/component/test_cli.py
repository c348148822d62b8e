"""The command itself: what it needs, what it says when that is missing, how light it is; and `mltrail runs`."""

import json
import os
import socket
import subprocess
import sys

import pytest

from mltrail_ci import __version__
from mltrail_ci.cli import COMMANDS, main
from tests.component.conftest import Job

CANDIDATES = {
    "candidates": [
        {"iid": 7, "name": "deep", "status": "finished", "job_id": 4711, "metrics": {"auc": 0.89532, "f1": 0.6}},
        {"iid": 8, "name": "flat", "status": "running", "job_id": None, "metrics": {"auc": None}},
    ]
}


HEAVY = {
    "urllib3",
    "ssl",
    "http.client",
    "email",
    "yaml",
    "importlib.metadata",
    "flask",
    "sqlalchemy",
    "mltrail_server",
}


@pytest.mark.parametrize("command", [[], ["report"], ["promote"], ["runs"], ["doctor"], ["detach"]])
def test_starting_loads_nothing_heavy(command: list[str]) -> None:
    """It has to start in no time, and what costs time is loading. Nor are other commands loaded."""
    script = (
        "import sys; from mltrail_ci.cli import main\n"
        f"try: main([*{command}, '--help'])\n"
        "except SystemExit: print(*sys.modules, file=sys.stderr)"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    loaded = set(ran.stderr.split())
    assert HEAVY & loaded == set()
    commands = {f"mltrail_ci.{name}" for name in COMMANDS}
    assert loaded & commands == ({f"mltrail_ci.{command[0]}"} if command else set())


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("option", ["--serv", "--pro", "--unknown", "-x"])
def test_an_option_that_is_not_known_is_refused(command: str, option: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Half a name, too: it would mean something else once another option begins so."""
    with pytest.raises(SystemExit) as stopped:
        main([command, option, "x"])
    assert stopped.value.code == 2
    assert "usage: mltrail" in capsys.readouterr().err


def test_help_names_each_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    output = capsys.readouterr().out
    assert all(f"    {name}" in output and what in " ".join(output.split()) for name, what in COMMANDS.items())


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_takes_json_and_where_to_ask(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main([command, "--help"])
    assert left.value.code == 0
    assert {"--json", "--server", "--project", "--pipeline"} <= set(capsys.readouterr().out.replace("[", " ").split())


def test_its_version(capsys: pytest.CaptureFixture[str], job: Job) -> None:
    with pytest.raises(SystemExit) as left:
        job.run("-V")
    assert (left.value.code, capsys.readouterr().out) == (0, f"mltrail {__version__}\n")


def test_runs_as_a_table(job: Job) -> None:
    job.server.lay(f"GET {job.base}/pipelines/1001/candidates", CANDIDATES)
    code, output, _ = job.run("runs")
    assert code == 0
    assert output.splitlines() == [
        "run  name  status    job      auc   f1",
        "---  ----  --------  ----  ------  ---",
        "7    deep  finished  4711  0.8953  0.6",
        "8    flat  running              -    -",
    ]


def test_runs_as_json(job: Job) -> None:
    job.server.lay(f"GET {job.base}/pipelines/1001/candidates", CANDIDATES)
    assert json.loads(job.run("runs", "--json")[1]) == CANDIDATES


def test_options_win_over_the_jobs_variables(job: Job) -> None:
    job.server.lay("GET /api/v4/projects/team%2Fchurn/ml/pipelines/5/candidates", CANDIDATES)
    job.environment.setenv("MLFLOW_TRACKING_URI", "https://elsewhere.example.com/api/v4/projects/1/ml/mlflow")
    job.environment.setenv("MLTRAIL_TOKEN", "token-of-ours")
    assert job.run("runs", "--server", f"{job.server.url}/", "--project", "team/churn", "--pipeline", "5")[0] == 0
    assert job.server.asked[0].token == "token-of-ours"


@pytest.mark.parametrize(
    ("missing", "named"),
    [
        ("MLFLOW_TRACKING_URI", "--server"),
        ("MLFLOW_TRACKING_TOKEN", "id_tokens"),
        ("CI_PIPELINE_ID", "--pipeline"),
    ],
)
def test_what_is_missing_is_named(job: Job, missing: str, named: str) -> None:
    job.environment.delenv(missing)
    code, _, error = job.run("runs")
    assert code == 2
    assert named in error


def test_the_project_is_known_from_the_tracking_uri(job: Job) -> None:
    job.environment.delenv("CI_PROJECT_ID")
    job.server.lay(f"GET {job.base}/pipelines/1001/candidates", CANDIDATES)
    assert job.run("runs")[0] == 0


def test_a_server_that_is_down(job: Job) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
    code, _, error = job.run("runs", "--server", url)
    assert code == 3
    assert f"{url}/api/v4/projects/42/ml/pipelines/1001/candidates failed" in error
    assert "runner can reach the server" in error


def test_a_server_that_speaks_no_tls(job: Job) -> None:
    code, _, error = job.run("runs", "--server", job.server.url.replace("http:", "https:"))
    assert code == 3
    assert "http://?" in error
    assert "SSL_CERT_FILE" not in error


def test_a_404_shows_the_servers_message(job: Job) -> None:
    job.server.lay(f"GET {job.base}/pipelines/1001/candidates", {"message": "Model churn not found"}, status=404)
    assert job.run("runs")[2].endswith("returned 404: Model churn not found.\n")
    job.server.lay(f"GET {job.base}/pipelines/1001/candidates", "<h1>Not Found</h1>", status=404)
    assert "Check the server's URL and the project." in job.run("runs")[2]


def test_a_proxy_of_the_environment_is_used(job: Job) -> None:
    job.environment.setenv("http_proxy", job.server.url)
    url = "http://mltrail.internal/api/v4/projects/42/ml/pipelines/1001/candidates"
    job.server.lay(f"GET {url}", CANDIDATES)
    assert job.run("runs", "--server", "http://mltrail.internal")[0] == 0
    job.environment.setenv("no_proxy", "127.0.0.1")
    job.server.lay(f"GET {job.base}/pipelines/1001/candidates", CANDIDATES)
    assert job.run("runs")[0] == 0


def test_a_short_outage_is_ridden_out(job: Job) -> None:
    job.server.answers[f"GET {job.base}/pipelines/1001/candidates"] = [(502, "down"), (503, "down"), (200, CANDIDATES)]
    assert job.run("runs")[0] == 0


def test_a_longer_outage_is_an_error(job: Job) -> None:
    job.server.lay(f"GET {job.base}/pipelines/1001/candidates", "<h1>Bad Gateway</h1>", status=502)
    code, _, error = job.run("runs")
    assert code == 3
    assert "returned 502" in error


def test_an_outage_shows_the_servers_message(job: Job) -> None:
    job.server.lay(
        f"GET {job.base}/pipelines/1001/candidates", {"message": "Local mode knows no pipelines."}, status=503
    )
    assert job.run("runs")[2].endswith("returned 503: Local mode knows no pipelines.\n")


def test_an_outage_shows_the_id_by_which_the_operator_finds_the_call(job: Job) -> None:
    job.server.request_id = "5f0c9a3be1d24c77"
    url = f"GET {job.base}/pipelines/1001/candidates"
    job.server.lay(url, "<h1>Internal Server Error</h1>", status=500)
    assert job.run("runs")[2].endswith("no reason given. The server's log says more. Request ID: 5f0c9a3be1d24c77\n")
    job.server.lay(url, {"message": "Broken (request 5f0c9a3be1d24c77)."}, status=500)
    assert job.run("runs")[2].count("5f0c9a3be1d24c77") == 1
    job.server.lay(url, {"message": "No such pipeline."}, status=404)
    assert "Request ID" not in job.run("runs")[2], "the caller's mistake, and not in the log"


def test_a_login_page_is_no_answer(job: Job) -> None:
    job.server.lay(f"GET {job.base}/pipelines/1001/candidates", "<html>Sign in</html>")
    code, _, error = job.run("runs")
    assert code == 3
    assert "login page" in error


def test_a_refused_token_points_to_the_doctor(job: Job) -> None:
    job.server.lay(f"GET {job.base}/pipelines/1001/candidates", {"message": "The token has expired."}, status=401)
    code, _, error = job.run("runs")
    assert code == 3
    assert "The token has expired." in error
    assert "mltrail doctor" in error
    assert "token-of-the-job" not in error


def test_a_reader_may_leave_early(job: Job) -> None:
    """As `mltrail runs | head` does."""
    job.server.lay(f"GET {job.base}/pipelines/1001/candidates", CANDIDATES)
    reading, writing = os.pipe()
    os.close(reading)
    script = "import sys; from mltrail_ci.cli import main; sys.exit(main(['runs']))"
    ran = subprocess.run([sys.executable, "-c", script], stdout=writing, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writing)
    assert (ran.returncode, ran.stderr) == (141, "")
