"""What people and scorers say of traces: https://mlflow.org/docs/latest/genai/concepts/feedback/."""

from typing import Any

import pytest
from flask.testing import FlaskClient

from mltrail_server.domain import limits
from tests.api.traces.calls import delete, error, get, patch, post, start_trace
from tests.clock import FrozenClock
from tests.mlflow_client import INVALID, MISSING, TAKEN, Mlflow
from tests.team import EXTERNAL_URL, Team

DENIED = (403, "PERMISSION_DENIED")
TIMES = {"create_time": "2026-11-28T18:24:19.505Z", "last_update_time": "2026-11-28T18:24:20Z"}
CODE = {"source_type": "CODE", "source_id": "exact"}
JUDGE = {"source_type": "LLM_JUDGE", "source_id": "openai:/gpt-4.1"}


def say(mlflow: Mlflow, trace_id: str, **fields: Any) -> Any:
    assessment = {"assessment_name": "exact", "source": CODE, **TIMES, **fields}
    return post(mlflow, f"traces/{trace_id}/assessments", assessment=assessment)["assessment"]


def read(mlflow: Mlflow, said: Any) -> Any:
    return get(mlflow, f"traces/{said['trace_id']}/assessments/{said['assessment_id']}")["assessment"]


def change(mlflow: Mlflow, said: Any, mask: str, **fields: Any) -> Any:
    path = f"traces/{said['trace_id']}/assessments/{said['assessment_id']}"
    return patch(mlflow, path, assessment=fields, update_mask=mask)["assessment"]


@pytest.fixture
def trace_id(mlflow: Mlflow) -> str:
    return start_trace(mlflow)


@pytest.mark.every_case
@pytest.mark.parametrize("value", [True, False, 1, 0.25, "yes", "", None, ["a", 1], {"a": {"b": [1, None]}}])
def test_feedback_keeps_its_value_of_whatever_type(mlflow: Mlflow, trace_id: str, value: Any) -> None:
    metadata = {"mlflow.assessment.sourceRunId": "a" * 32, "mlflow.assessment.scorerDigest": "sha256:1"}
    fields = {"feedback": {"value": value}, "rationale": "why", "metadata": metadata, "span_id": "40c02731695b26ec"}
    said = say(mlflow, trace_id, **fields)
    assert said.pop("assessment_id").startswith("a-")
    expected = {"assessment_name": "exact", "trace_id": trace_id, "source": CODE, "valid": True, **TIMES, **fields}
    assert said == expected


@pytest.mark.every_case
@pytest.mark.parametrize(
    ("expectation", "shown"),
    [
        ({"value": "30 days"}, {"value": "30 days"}),
        (
            {"serialized_value": {"serialization_format": "JSON_FORMAT", "value": '{"a": [1]}'}},
            {"serialized_value": {"serialization_format": "JSON_FORMAT", "value": '{"a": [1]}'}},
        ),
        ({"serialized_value": {"serialization_format": "JSON_FORMAT", "value": "3"}}, {"value": 3}),
    ],
)
def test_expectations_and_their_values(mlflow: Mlflow, trace_id: str, expectation: Any, shown: Any) -> None:
    said = say(mlflow, trace_id, expectation=expectation)
    assert said["expectation"] == shown
    assert read(mlflow, said) == said


def test_issues_name_what_was_found(mlflow: Mlflow, trace_id: str) -> None:
    said = say(mlflow, trace_id, assessment_name="iss-1", issue={"issue_name": "slow"}, rationale="9 s")
    assert (said["issue"], said["rationale"]) == ({"issue_name": "slow"}, "9 s")
    assert change(mlflow, said, "rationale", rationale="12 s")["rationale"] == "12 s"


def test_a_scorer_that_failed_says_how(mlflow: Mlflow, trace_id: str) -> None:
    stack = "".join(f"line {number}\n" for number in range(2000))
    failed = {"error_code": "TIMEOUT", "error_message": "no answer", "stack_trace": stack}
    said = say(mlflow, trace_id, feedback={"error": failed})["feedback"]
    assert said["value"] is None
    kept = said["error"]["stack_trace"]
    assert (len(kept), kept.endswith("line 1999\n")) == (10_000, True)
    assert kept.startswith("[Stack trace is truncated]")
    assert (said["error"]["error_code"], said["error"]["error_message"]) == ("TIMEOUT", "no answer")


def test_what_is_left_out(mlflow: Mlflow, trace_id: str, clock: FrozenClock) -> None:
    clock.advance(7)
    assessment = {"assessment_name": "x", "feedback": {"value": 1}}
    said = post(mlflow, f"traces/{trace_id}/assessments", assessment=assessment)["assessment"]
    assert said["source"] == {"source_type": "SOURCE_TYPE_UNSPECIFIED"}
    assert said["create_time"].endswith(".007Z")
    assert not {"rationale", "metadata", "overrides", "span_id"} & said.keys()


def test_a_time_of_another_zone_is_read(mlflow: Mlflow, trace_id: str) -> None:
    said = say(mlflow, trace_id, feedback={"value": 1}, create_time="2026-11-28T18:25:37.123456789+02:00")
    assert said["create_time"] == "2026-11-28T16:25:37.123Z"


def test_updates_change_what_the_mask_names(mlflow: Mlflow, trace_id: str, clock: FrozenClock) -> None:
    said = say(mlflow, trace_id, feedback={"value": 0.25}, rationale="old", metadata={"a": "1", "b": "2"})
    new = change(
        mlflow, said, "assessmentName,metadata", assessment_name="y", metadata={"b": "3"}, rationale="not this"
    )
    assert (new["assessment_name"], new["rationale"]) == ("y", "old")
    assert new["metadata"] == {"a": "1", "b": "3"}
    assert (new["create_time"], new["feedback"]) == (said["create_time"], said["feedback"])
    assert new["last_update_time"] != said["last_update_time"]
    assert change(mlflow, said, "feedback,rationale", feedback={"value": None}, rationale="new")["rationale"] == "new"
    assert read(mlflow, said)["feedback"] == {"value": None}


def test_updates_that_are_refused(mlflow: Mlflow, trace_id: str) -> None:
    feedback = say(mlflow, trace_id, feedback={"value": 1})
    expected = say(mlflow, trace_id, expectation={"value": 1})
    for said, mask, fields in (
        (feedback, "expectation", {"expectation": {"value": 1}}),
        (expected, "feedback", {"feedback": {"value": 1}}),
        (feedback, "feedback,expectation", {"expectation": {"value": 1}, "feedback": {"value": 1}}),
        (feedback, "valid", {"valid": True}),
        (feedback, "", {}),
    ):
        path = f"traces/{trace_id}/assessments/{said['assessment_id']}"
        assert error(mlflow, "PATCH", path, assessment=fields, update_mask=mask)[:2] == INVALID


def test_overriding_makes_the_old_one_invalid_until_the_override_is_gone(mlflow: Mlflow, trace_id: str) -> None:
    judged = say(mlflow, trace_id, source=JUDGE, feedback={"value": False})
    fields = {"feedback": {"value": True}, "overrides": judged["assessment_id"]}
    first, second = say(mlflow, trace_id, **fields), say(mlflow, trace_id, **fields)
    assert (first["valid"], first["overrides"]) == (True, judged["assessment_id"])
    assert read(mlflow, judged)["valid"] is False
    assert read(mlflow, judged)["feedback"] == {"value": False}
    for override, valid in ((first, False), (second, True)):
        delete(mlflow, f"traces/{trace_id}/assessments/{override['assessment_id']}")
        assert read(mlflow, judged)["valid"] is valid
    assert (
        error(mlflow, "POST", f"traces/{trace_id}/assessments", assessment=fields | {"overrides": "a-x"})[:2] == MISSING
    )


def test_deleting_twice_is_no_error(mlflow: Mlflow, trace_id: str) -> None:
    said = say(mlflow, trace_id, feedback={"value": 1})
    path = f"traces/{trace_id}/assessments/{said['assessment_id']}"
    delete(mlflow, path)
    delete(mlflow, path)
    assert error(mlflow, "GET", path)[:2] == MISSING


@pytest.mark.every_case
@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"expectation": {"value": None}},
        {"expectation": {"serialized_value": {"serialization_format": "YAML", "value": "3"}}},
        {"expectation": {"serialized_value": {"serialization_format": "JSON_FORMAT", "value": "{"}}},
        {"expectation": {"serialized_value": {"serialization_format": "JSON_FORMAT", "value": '"\\ud800"'}}},
        {"feedback": {"value": 1}, "create_time": "2026-11-28"},
        {"feedback": {"value": 1}, "create_time": "2026-02-30T00:00:00Z"},
        {"feedback": {"value": 1}, "assessment_name": "n" * 251},
        {"feedback": {"value": 1}, "source": {"source_type": "CODE", "source_id": "s" * 251}},
        {"feedback": {"value": 1}, "assessment_id": "no id"},
        {"feedback": {"value": 1}, "span_id": "s" * 65},
        {"feedback": {"value": "x" * limits.MAX_ASSESSMENT}},
        {"feedback": {"value": 1}, "rationale": "x" * limits.MAX_ASSESSMENT},
    ],
)
def test_assessments_that_are_refused(mlflow: Mlflow, trace_id: str, fields: dict[str, Any]) -> None:
    assessment = {"assessment_name": "x", "source": CODE, **fields}
    assert error(mlflow, "POST", f"traces/{trace_id}/assessments", assessment=assessment)[:2] == INVALID


def test_a_trace_and_an_assessment_that_do_not_exist(mlflow: Mlflow, trace_id: str) -> None:
    said = say(mlflow, trace_id, feedback={"value": 1})
    other = start_trace(mlflow)
    assessment = {"assessment_name": "x", "feedback": {"value": 1}}
    assert error(mlflow, "POST", f"traces/tr-{'0' * 32}/assessments", assessment=assessment)[:2] == MISSING
    for path in (f"traces/{other}/assessments/{said['assessment_id']}", f"traces/{trace_id}/assessments/a-none"):
        assert error(mlflow, "GET", path)[:2] == MISSING
        assert error(mlflow, "PATCH", path, assessment={}, update_mask="rationale")[:2] == MISSING
    taken = assessment | {"assessment_id": said["assessment_id"]}
    assert error(mlflow, "POST", f"traces/{other}/assessments", assessment=taken)[:2] == TAKEN


def test_a_trace_has_a_limit_of_assessments(mlflow: Mlflow, trace_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_ASSESSMENTS", 2)
    for _ in range(2):
        say(mlflow, trace_id, feedback={"value": 1})
    assessment = {"assessment_name": "x", "feedback": {"value": 1}}
    status, code, message = error(mlflow, "POST", f"traces/{trace_id}/assessments", assessment=assessment)
    assert (status, code) == (403, "QUOTA_EXCEEDED")
    assert "Change assessments instead of adding more" in message


class Callers:
    """The job that made a trace, another job, and two people."""

    def __init__(self, client: FlaskClient, team: Team) -> None:
        def caller(token: str) -> Mlflow:
            return Mlflow(client, project="42", token=token)

        self.job, self.other_job = (caller(team.gitlab.mint(team.job(), EXTERNAL_URL)) for _ in range(2))
        self.developer, self.owner = caller(team.tokens["developer"]), caller(team.tokens["owner"])
        self.reporter, self.guest = caller(team.tokens["reporter"]), caller(team.tokens["guest"])


@pytest.fixture
def callers(gitlab_client: FlaskClient, team: Team) -> Callers:
    return Callers(gitlab_client, team)


def test_everybody_changes_only_what_they_said_themselves(callers: Callers) -> None:
    trace_id = start_trace(callers.job)
    authors = [callers.job, callers.other_job, callers.developer, callers.owner]
    said = [say(author, trace_id, feedback={"value": 1}) for author in authors]
    for own, author in zip(said, authors, strict=True):
        for one in said:
            path = f"traces/{trace_id}/assessments/{one['assessment_id']}"
            if one is own:
                assert change(author, one, "feedback", feedback={"value": 2})["feedback"] == {"value": 2}
                continue
            fields = {"assessment": {"feedback": {"value": 3}}, "update_mask": "feedback"}
            assert error(author, "PATCH", path, **fields)[:2] == DENIED
            assert error(author, "DELETE", path)[:2] == DENIED
    assert [read(callers.developer, one)["feedback"]["value"] for one in said] == [2, 2, 2, 2]


def test_others_override_with_an_assessment_of_their_own(callers: Callers) -> None:
    trace_id = start_trace(callers.job)
    judged = say(callers.job, trace_id, feedback={"value": False})
    override = say(callers.developer, trace_id, feedback={"value": True}, overrides=judged["assessment_id"])
    assert read(callers.job, judged)["valid"] is False
    assert error(callers.job, "DELETE", f"traces/{trace_id}/assessments/{override['assessment_id']}")[:2] == DENIED


def test_reading_takes_reporter(callers: Callers) -> None:
    trace_id = start_trace(callers.job)
    said = say(callers.job, trace_id, feedback={"value": 1})
    path = f"traces/{trace_id}/assessments/{said['assessment_id']}"
    assert read(callers.reporter, said) == said
    assert error(callers.guest, "GET", path)[:2] == DENIED
    assessment = {"assessment_name": "x", "feedback": {"value": 1}}
    assert error(callers.reporter, "POST", f"traces/{trace_id}/assessments", assessment=assessment)[:2] == DENIED


def test_what_is_said_while_a_trace_is_sent_is_kept_once(mlflow: Mlflow) -> None:
    assessment = {
        "assessment_id": f"a-{'1' * 32}",
        "assessment_name": "x",
        "source": CODE,
        **TIMES,
        "feedback": {"value": 1},
    }
    fields = {"trace_id": f"tr-{'1' * 32}", "assessments": [assessment]}
    for value in (1, 2):
        assessment["feedback"] = {"value": value}
        trace_id = start_trace(mlflow, **fields)
    info = get(mlflow, f"traces/{trace_id}")["trace"]["trace_info"]
    assert info["assessments"] == [assessment | {"trace_id": trace_id, "valid": True}]
    other = {
        "trace_id": f"tr-{'2' * 32}",
        "trace_location": {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": "0"}},
        "assessments": [assessment],
    }
    status, code, message = error(mlflow, "POST", "traces", trace={"trace_info": other})
    assert ((status, code), "belongs to another trace" in message) == (INVALID, True)
    assert error(mlflow, "GET", f"traces/{other['trace_id']}")[:2] == MISSING
