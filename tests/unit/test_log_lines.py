"""Log lines as docs/reference/logs.md describes them, without secrets."""

import json
import logging
import sys

import pytest

from mltrail_server.settings import Settings
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


@pytest.mark.parametrize("layout", [logs.TextLines, logs.JsonLines], ids=["text", "json"])
def test_no_text_commands_a_terminal_or_ends_a_line(layout: type[logs.TextLines | logs.JsonLines]) -> None:
    hostile = "x\r2026 CRITICAL all is lost\x1b[2J\x9b2J\x7f\x85\u2028\u202e\udc80"
    failed = record("%s", hostile)
    failed.exc_info = (ValueError, ValueError(f"{hostile}\n2026 CRITICAL all is lost"), None)
    said = layout(Hiding()).format(failed)
    assert all(one.isprintable() or one == "\n" for one in said)
    assert all(line.startswith(("2023-", "  ", "{")) for line in said.split("\n"))
    if layout is logs.JsonLines:
        assert json.loads(said)["message"] == hostile


def test_secrets_in_fields_and_in_the_environment_of_libraries_are_hidden(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-team hunter2222,authorization=Basic%20aHVudGVy")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wJalr/hunter22")
    settings = Settings(database_url="postgresql://mltrail:hunter%20pass@db/x")
    try:
        logs.configure(layout="json", secrets=settings.secret_values)
        logging.getLogger("opentelemetry.util.re").warning("Header format invalid! %s", "x-team hunter2222")
        said = "aHVudGVy wJalr/hunter22 hunter pass hunter%20pass"
        logging.getLogger("x").warning("said %s", said, extra={"fields": {"url": "http://u:hunter22@x"}})
    finally:
        logs.configure()
    assert "hunter" not in (shown := capsys.readouterr().err)
    assert "aHVudGVy" not in shown
    assert "@x" in shown


def test_hiding_takes_no_longer_for_hostile_text() -> None:
    """Each would take minutes by a pattern that tries again from every place."""
    hide = Hiding()
    for part in ("://:", "://a", "-eyJa", "eyJ.", "token", "token-", "a:", "=", "-token: "):
        text = part * (200_000 // len(part))
        assert len(hide(text)) > 0


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
        ("can't open postgresql://mltrail:hun@ter22@db/x", "@db/x", "ter22"),
        ("can't open postgresql://:hunter22@db/x", "@db/x", "hunter22"),
        ("user=mltrail password='hunter 22'", "user=mltrail", "hunter"),
        ("PRIVATE-TOKEN: 64_hunter22", "PRIVATE-TOKEN", "hunter22"),
        ("AWS_SECRET_ACCESS_KEY=hunter22", "AWS_SECRET_ACCESS_KEY", "hunter22"),
    ],
    ids=["password", "signature", "gitlab", "jwt", "header", "own", "code", "at", "nobody", "libpq", "token", "aws"],
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
