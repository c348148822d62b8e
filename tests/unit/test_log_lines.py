"""Log lines as docs/reference/logs.md describes them, without secrets."""

import json
import logging
import sys

import pytest

from mltrail_server.telemetry import calls, logs
from mltrail_server.telemetry.secrets_in_logs import Hiding


def record(message: str, *arguments: object, **fields: object) -> logging.LogRecord:
    made = logging.LogRecord("mltrail_server.x", logging.WARNING, "x.py", 1, message, arguments, None)
    made.created = 1_700_000_000.25
    if fields:
        made.fields = fields
    return made


@pytest.fixture(autouse=True)
def _outside_of_calls() -> None:
    calls.resume(None)


def test_json_is_one_object_with_its_time_in_utc() -> None:
    line = logs.JsonLines(Hiding()).format(record("two\nlines of %s", "text", ms=12))
    assert "\n" not in line
    assert json.loads(line) == {
        "time": "2023-11-14T22:13:20.250Z",
        "level": "warning",
        "logger": "mltrail_server.x",
        "message": "two\nlines of text",
        "ms": 12,
    }


def test_both_name_the_call() -> None:
    call = calls.begin("r-7")
    call.project_id, call.trace_id = 42, "ab" * 16
    line = json.loads(logs.JsonLines(Hiding()).format(record("hello")))
    assert (line["request_id"], line["project_id"], line["trace_id"]) == ("r-7", 42, "ab" * 16)
    assert logs.TextLines(Hiding()).format(record("hello")).endswith("WARNING mltrail_server.x: hello [request r-7]")


def test_no_message_can_forge_a_line_of_text() -> None:
    assert "\n" not in logs.TextLines(Hiding()).format(record("%s", "x\n2026 CRITICAL all is lost"))


@pytest.mark.parametrize(
    ("text", "kept", "gone"),
    [
        ("can't open postgresql://mltrail:hunter22@db/x", "@db/x", "hunter22"),
        ("GET https://s3/b/k?X-Amz-Signature=0af3&X-Amz-Date=20261130", "X-Amz-Date=20261130", "0af3"),
        ("token glpat-abcdefgh1234 is wrong", "is wrong", "abcdefgh1234"),
        ("sent eyJhbGciOi.eyJpc3MiOi.c2ln now", "now", "eyJpc3MiOi"),
        ("headers {'Authorization': 'Bearer abc.def-ghi'}", "headers", "abc.def-ghi"),
        ("the key is correct-horse", "the key is", "correct-horse"),
        ("/callback?code=s3cr3t&state=x", "/callback", "s3cr3t"),
    ],
    ids=["password", "signature", "gitlab", "jwt", "header", "own", "code"],
)
@pytest.mark.parametrize("layout", ["text", "json"])
def test_secrets_are_hidden_also_in_tracebacks(text: str, kept: str, gone: str, layout: str) -> None:
    hide = Hiding(["correct-horse"])
    formatter = logs.JsonLines(hide) if layout == "json" else logs.TextLines(hide)
    failed = record("failed: %s", text)
    try:
        int(text)
    except ValueError:
        failed.exc_info = sys.exc_info()
    line = formatter.format(failed)
    assert line.count(kept) >= 2
    assert gone not in line


def test_what_is_no_secret_stays() -> None:
    text = "the route /api/v4/projects/<project:project>/ml gave 503, encoded=1, at https://host:5000/x@y"
    assert Hiding(["", "abc"])(text) == text
