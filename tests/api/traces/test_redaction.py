"""`traces: {redact: …}` in the contract, and MLTRAIL_TRACES_REDACT: what must not be stored never is."""

import json
import secrets
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from flask.testing import FlaskClient

from mltrail_server.app import create_app, create_deps
from mltrail_server.domain.errors import MltrailError
from mltrail_server.services.contract import contracts
from mltrail_server.services.traces import redact
from mltrail_server.services.traces.redact import Redactor
from mltrail_server.settings import Settings
from tests.api.traces.caller import Traces, a_trace, traces_by
from tests.api.traces.exporter import message, send, span, status_of, stored
from tests.api.traces.traces_json import FILE, ID, file_of
from tests.clock import FrozenClock
from tests.mlflow_client import FILES, failure, good
from tests.team import Team

CARD = r"\b\d{16}\b"
MAIL = r"[\w.+-]{1,64}@[\w.-]{1,100}"
NUMBER, ADDRESS = "4111111111111111", "jané@example.com"
CONTRACT = f"""version: 1
traces:
  redact: ['{CARD}', '{MAIL}']
models: {{}}
"""


@pytest.fixture
def strict(settings: Settings, clock: FrozenClock) -> Iterator[Traces]:
    """A caller in local mode, where the setting alone says what is redacted."""
    deps = create_deps(replace(settings, traces_redact=f"{CARD} || {MAIL}"), clock=clock)
    yield Traces(create_app(deps).test_client())
    deps.db.dispose()


@pytest.fixture
def by_contract(gitlab_client: FlaskClient, team: Team) -> Traces:
    team.gitlab.add_commit(
        team.project, "b2" * 20, parents=("a1" * 20,), branch="main", files={".mltrail.yml": CONTRACT}
    )
    return traces_by(gitlab_client, team.tokens["developer"])


def commit(team: Team, contract: str) -> None:
    sha = secrets.token_hex(20)
    team.gitlab.add_commit(team.project, sha, parents=("a1" * 20,), branch="main", files={".mltrail.yml": contract})


def redactor(*patterns: str) -> Redactor:
    return Redactor(redact._compiled(patterns))


def test_nothing_that_a_pattern_of_the_contract_matches_is_stored(by_contract: Traces) -> None:
    check_that_nothing_is_stored(by_contract)


def test_nothing_that_a_pattern_of_the_setting_matches_is_stored(strict: Traces) -> None:
    check_that_nothing_is_stored(strict)


def check_that_nothing_is_stored(traces: Traces) -> None:
    secret = f"{NUMBER}, {ADDRESS}"
    given: dict[str, Any] = {
        "mlflow.spanInputs": {"text": secret, NUMBER: [int(NUMBER), float(NUMBER)], "inner": json.dumps({"a": secret})},
        "mlflow.spanOutputs": json.dumps([secret]),
        "mlflow.chat.tokenUsage": {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3},
        "plain": secret,
        "kept": [1.5, True, None, "1234"],
    }
    one = span(name=f"for {ADDRESS}", attributes=given)
    one.status.message = secret
    one.events.add(name=secret).attributes.add(key="exception.message").value.string_value = secret
    send(traces, body=message([one], {"service.name": secret}))
    metadata = {"mlflow.traceInputs": secret, "mlflow.sourceRun": "1" * 16}
    traces.three(
        "POST",
        trace=a_trace(
            ID, request_preview=secret, client_request_id=secret, trace_metadata=metadata, tags={"a": secret}
        ),
    )
    traces.two("PATCH", f"/{ID}/tags", key="b", value=secret)
    said = {"assessment_name": "right", "source": {"source_type": "HUMAN", "source_id": "jane"}, "rationale": secret}
    traces.three("POST", f"/{ID}/assessments", assessment={**said, "feedback": {"value": {"x": secret}}})

    (found,) = stored(traces)
    whole = json.dumps([found, traces.info(ID)])
    assert NUMBER not in whole
    assert "example.com" not in whole
    attributes = found["attributes"]
    assert attributes["plain"] == "[redacted], [redacted]"
    assert attributes["mlflow.spanInputs"] == {
        "text": "[redacted], [redacted]",
        "[redacted]": ["[redacted]", "[redacted]"],
        "inner": '{"a": "[redacted], [redacted]"}',
    }
    assert attributes["kept"] == [1.5, True, None, "1234"]
    assert attributes["mlflow.chat.tokenUsage"] == given["mlflow.chat.tokenUsage"]
    assert traces.info(ID)["trace_metadata"]["mlflow.sourceRun"] == "1" * 16, "what names something stays"


@pytest.mark.parametrize(
    "text",
    [
        r'{"a": "jan\u00e9@example.com", "b": "cut o',
        r'["card:\n4111111111111111", "cut o',
        ' {"a": "4111111111111111"}',
    ],
)
def test_json_text_that_is_cut_off_is_read_as_it_is_spelt(strict: Traces, text: str) -> None:
    """Clients cut previews, and what they cut is no JSON."""
    preview = strict.start(request_preview=text)["request_preview"]
    assert "[redacted]" in preview
    assert not any(part in preview for part in ("jan", "example", NUMBER))
    assert strict.start("tr-2", request_preview=r'{"a": "\n1234", "cut')["request_preview"] == r'{"a": "\n1234", "cut'


def test_who_gives_feedback_is_redacted_and_what_judges_is_not(strict: Traces) -> None:
    strict.start()
    for kind in ("HUMAN", "LLM_JUDGE"):
        source = {"source_type": kind, "source_id": "me@example.com"}
        assessment = {"assessment_name": "a", "source": source, "feedback": {"value": 1}}
        said = strict.three("POST", "/tr-1/assessments", assessment=assessment)["assessment"]
        assert said["source"]["source_id"] == ("[redacted]" if kind == "HUMAN" else "me@example.com")


def test_traces_json_is_redacted_and_else_kept_as_it_came(strict: Traces) -> None:
    strict.start(ID)
    clean, secret = file_of(1), file_of(1, 2, note=json.dumps(f"call {NUMBER}"))

    good(strict.call("PUT", f"{FILES}/{FILE}", data=clean))
    assert strict.call("GET", f"{FILES}/{FILE}").data == clean
    good(strict.call("PUT", f"{FILES}/{FILE}", data=secret))

    got = strict.call("GET", f"{FILES}/{FILE}").data
    assert NUMBER.encode() not in got
    wanted = json.loads(secret.replace(NUMBER.encode(), b"[redacted]"))
    assert json.loads(got)["spans"] == wanted["spans"]


def test_the_digest_of_inputs_does_not_give_away_what_was_redacted(strict: Traces) -> None:
    """The same for two secrets: nobody can try all numbers until the digest fits."""
    digests = set()
    for trace, number in (("1" * 32, NUMBER), ("2" * 32, "5" * 16)):
        send(strict, span(trace=trace, attributes={"mlflow.spanInputs": {"card": number}}))
        digests.add(strict.info(f"tr-{trace}")["request_preview"])
    assert digests == {'{"card": "[redacted]"}'}


def test_a_change_of_the_contract_counts_within_a_minute(by_contract: Traces, team: Team, clock: FrozenClock) -> None:
    text = f"{NUMBER} and word"
    send(by_contract, span(attributes={"a": text}))
    changed = CONTRACT.replace(CARD, "word")
    team.gitlab.add_commit(
        team.project, "c3" * 20, parents=("b2" * 20,), branch="main", files={".mltrail.yml": changed}
    )
    clock.advance(contracts.REREAD_AFTER_MS)
    send(by_contract, span(trace="2" * 32, attributes={"a": text}))
    assert stored(by_contract)[0]["attributes"]["a"] == "[redacted] and word"
    assert stored(by_contract, "2" * 32)[0]["attributes"]["a"] == f"{NUMBER} and [redacted]"


def test_nothing_is_stored_while_the_contract_can_not_be_read(gitlab_client: FlaskClient, team: Team) -> None:
    commit(team, "version: 1\ntraces: 7")
    traces = traces_by(gitlab_client, team.tokens["developer"])
    status, code, text = status_of(send(traces, span()))
    assert (status, code) == (400, 3), "no exporter tries that again"
    assert "stores no traces" in text
    assert failure(traces.call("POST", "api/3.0/mlflow/traces", json={"trace": a_trace(ID)}))[:2] == (
        400,
        "INVALID_PARAMETER_VALUE",
    )
    assert failure(traces.call("GET", f"api/3.0/mlflow/traces/{ID}"))[0] == 404


def test_long_texts_are_searched_in_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever a match lies, at the edge of a window, too."""
    one = redactor(CARD, MAIL)
    for before in (*range(4060, 4110), 8190, 8192):
        text = "/" * before + f" {NUMBER} " + "/" * 5000 + ADDRESS
        assert one.text(text) == text.replace(NUMBER, "[redacted]").replace(ADDRESS, "[redacted]")


def test_overlapping_matches_leave_nothing() -> None:
    assert redactor("secret", r"secret-\d{1,9}", r"et-1").text("a secret-123 b") == "a [redacted] b"


def test_what_takes_too_long_is_refused() -> None:
    """Patterns that the contract accepts may be slow on long texts; a trace waits only so long for them."""
    late = replace(redactor("a{0,140}a{0,140}b"), ends=time.monotonic())
    with pytest.raises(MltrailError, match="takes longer than"):
        late.text("a" * 5000)


def test_a_value_that_is_nested_too_deeply_is_refused() -> None:
    deep: Any = "x"
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(MltrailError, match="nested too deeply"):
        redactor(CARD).json(deep)


def test_a_setting_that_can_take_for_ever_is_refused_at_the_start() -> None:
    with pytest.raises(MltrailError, match="MLTRAIL_TRACES_REDACT has the pattern"):
        Settings.from_environment({"MLTRAIL_TRACES_REDACT": f"{CARD}||(a+)+b"})
