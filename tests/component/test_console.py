"""Whatever standard output can hold, and whether anybody reads it: the work is done and printed as well as possible."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.component.conftest import Job
from tests.component.server import a_promotion, a_report

COMMAND = [sys.executable, "-c", "import sys; from mltrail_ci.cli import main; sys.exit(main())"]
ENCODINGS = ("cp1252", "cp437", "ascii", "cp932")
SENTENCE = "−0.8 pp ± 0.1, “worse” → 1.2 × as bad… ≥ 0.7 ✅ Müller 流失 🚀 \ud83d"  # noqa: RUF001
CANDIDATE = {"iid": 7, "name": SENTENCE, "status": "finished", "job_id": 1, "metrics": {"\u2212auc→": 0.5}}


@pytest.fixture(autouse=True)
def _everything_has_odd_letters(job: Job) -> None:
    for name, value in {"CI_API_V4_URL": f"{job.server.url}/api/v4", "CI_JOB_TOKEN": "glcbt-1"}.items():
        job.environment.setenv(name, value)
    job.environment.setenv("CI_COMMIT_SHA", "a" * 40)
    job.environment.setenv("CI_COMMIT_REF_NAME", "main")
    job.environment.delenv("CI_COMMIT_TAG", raising=False)
    verdict = {"level": "bad", "sentence": SENTENCE}
    lay = job.server.lay
    lay(f"POST {job.base}/promotions", {"promotions": [a_promotion(reason=SENTENCE)]})
    summary = {"heading": SENTENCE, "lines": [{"label": "Best", "text": SENTENCE}]}
    lay(f"POST {job.base}/pipelines/1001/report", a_report(verdict=verdict, summary=summary, markdown=SENTENCE))
    lay(f"GET {job.base}/pipelines/1001/report", a_report(verdict=verdict, summary=summary))
    lay(f"GET {job.base}/pipelines/1001/candidates", {"candidates": [CANDIDATE]})
    lay(f"GET {job.base}/models/churn/versions/1.1.0/card", {"markdown": SENTENCE})
    lay(f"GET {job.base}/models/churn/versions/champion/card", {"markdown": SENTENCE})
    lay(f"POST {job.base}/models/churn/aliases/champion/rollback", {"version": SENTENCE, "alias": "champion"})
    lay("POST /api/v4/projects/42/releases", {}, status=201)
    lay("GET /api/v4/projects/42/deployments?environment=model%2Fchurn&order_by=id&sort=desc&per_page=20", [])
    lay("POST /api/v4/projects/42/deployments", {"environment": {"id": 5}}, status=201)
    lay("PUT /api/v4/projects/42/environments/5", {})
    lay("GET /healthz", {})
    lay(f"GET {job.base}/setup", {"version": SENTENCE, "user": SENTENCE, "access": "write", "bot": None})


def run(*arguments: str, **options: Any) -> subprocess.CompletedProcess[bytes]:
    environment = os.environ | options.pop("environment", {})
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options
    return subprocess.run([*COMMAND, *arguments], env=environment, check=False, **options)


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize(
    "arguments",
    [
        ["promote", "--release", "--deployment"],
        ["report"],
        ["runs"],
        ["card", "churn"],
        ["rollback", "churn"],
        ["doctor"],
        ["names", "模型→"],
    ],
    ids=lambda one: one[0],
)
def test_each_command_does_its_work(job: Job, arguments: list[str], encoding: str) -> None:
    ran = run(*arguments, environment={"PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"})
    output = ran.stdout.decode(encoding.partition(":")[0])
    assert b"Traceback" not in ran.stderr
    assert ran.returncode == (1 if arguments == ["doctor"] else 0), ran.stderr
    assert output.strip()
    if arguments[0] == "promote":
        assert [one.method for one in job.server.asked] == ["POST", "GET", "POST", "GET", "POST", "PUT"]
    if encoding == "ascii" and arguments[0] not in {"doctor", "names"}:
        assert '-0.8 pp +/- 0.1, "worse" -> 1.2 x as bad... >= 0.7 [ok] M\\xfcller' in output


def test_without_a_locale(job: Job) -> None:
    assert run("promote", environment={"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}).returncode == 0


def test_errors_are_printed_there_too(job: Job) -> None:
    job.server.lay(f"POST {job.base}/promotions", {"message": "Müller → refused"}, status=403)
    ran = run("promote", environment={"PYTHONIOENCODING": "ascii"})
    assert ran.returncode == 3
    assert b"M\\xfcller -> refused" in ran.stderr


def test_files_are_utf8_all_the_same(job: Job, tmp_path: Path) -> None:
    files = {kind: tmp_path / kind for kind in ("dotenv", "annotations", "junit", "metrics", "markdown")}
    odd = {"PYTHONIOENCODING": "ascii", "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    arguments = [word for kind, path in files.items() for word in (f"--{kind}", str(path))]
    assert run("report", *arguments, environment=odd).returncode == 0
    assert "流失" in files["markdown"].read_text(encoding="utf-8")
    assert all(path.read_text(encoding="utf-8") for path in files.values())


@pytest.mark.parametrize("arguments", [["promote", "--release", "--deployment"], ["report"], ["runs"], ["names", "a"]])
@pytest.mark.parametrize("stream", ["stdout", "stderr", "both"])
def test_nobody_reads(job: Job, tmp_path: Path, arguments: list[str], stream: str) -> None:
    """A pipe whose reader has left is no reason to leave work undone."""
    reading, writing = os.pipe()
    os.close(reading)
    closed = {name: writing for name in ("stdout", "stderr") if stream in {name, "both"}}
    extra = ["--dotenv", str(tmp_path / "env")] if arguments[0] in {"promote", "report"} else []
    ran = run(*arguments, *extra, **closed)
    os.close(writing)
    assert b"Traceback" not in (ran.stderr or b"")
    assert b"Exception ignored" not in (ran.stderr or b"")
    assert ran.returncode == (0 if stream == "stderr" else 141)
    if extra:
        assert "MLTRAIL_" in (tmp_path / "env").read_text()
    if arguments[0] == "promote":
        assert job.server.asked[-1].method == "PUT"


@pytest.mark.parametrize("arguments", [["promote"], ["report", "--json"], ["doctor"], ["names", "a"]])
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
def test_a_full_disk(job: Job, arguments: list[str]) -> None:
    with Path("/dev/full").open("w") as full:
        ran = run(*arguments, stdout=full)
    assert ran.returncode == 5
    assert ran.stderr.decode().strip() == "mltrail: Standard output can't be written: No space left on device."


@pytest.mark.parametrize("closed", ["1>&-", "2>&-", "1>&- 2>&-", "0<&- 1>&- 2>&-"])
def test_a_stream_that_was_never_open(job: Job, closed: str, tmp_path: Path) -> None:
    script = f'"$@" {closed}'
    ran = subprocess.run(
        ["sh", "-c", script, "sh", *COMMAND, "promote", "--dotenv", str(tmp_path / "env")],
        capture_output=True,
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (0, b"")
    assert "MLTRAIL_VERSION=1.1.0\n" in (tmp_path / "env").read_text()


def test_what_the_server_did_is_written_before_a_word_is_printed(job: Job, tmp_path: Path) -> None:
    """A Release that fails keeps neither the deployment, the files nor the result from those who wait for them."""
    job.server.lay("POST /api/v4/projects/42/releases", {"message": "403 Forbidden"}, status=403)
    code, output, error = job.run("promote", "--release", "--deployment", "--dotenv", str(tmp_path / "env"))
    assert code == 3
    assert "is now champion" in output
    assert "Deployment in model/churn\n" in output
    assert "releases returned 403" in error
    assert "MLTRAIL_VERSION=1.1.0\n" in (tmp_path / "env").read_text()


def test_nothing_is_promoted_where_the_result_cannot_be_written(job: Job, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    code, _, error = job.run("promote", "--dotenv", str(tmp_path / "file/env"))
    assert (code, job.server.asked) == (2, [])
    assert "Can't write" in error


def test_columns_stay_in_line(job: Job) -> None:
    lines = run("runs", environment={"PYTHONIOENCODING": "ascii"}).stdout.decode().splitlines()
    assert lines[0].rindex("-auc->") + len("-auc->") == len(lines[1]) == lines[2].rindex("0.5") + 3


def test_json_is_json_everywhere(job: Job) -> None:
    output = run("promote", "--json", environment={"PYTHONIOENCODING": "ascii"}).stdout
    assert json.loads(output)["promotions"][0]["reason"] == SENTENCE
