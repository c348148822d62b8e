"""A history that was made to hurt: it changes nothing that is here, and none of its values ends the import."""

from dataclasses import replace
from typing import Any

import pytest

from mltrail_server.domain.errors import MltrailError
from mltrail_server.domain.ids import ProjectId
from mltrail_server.domain.transfer import AssessmentRecord, EvaluationRowRecord
from mltrail_server.services.context.deps import Deps
from mltrail_server.services.imports.written_values import WrittenValues, digests_of
from mltrail_server.store.imports import alone
from tests.api.imports.conftest import Bring
from tests.fakes.history import BEGAN, FakeSource, eid, history
from tests.mlflow_client import Mlflow, good

BACKENDS = ("sqlite", "postgresql")
NO_TEXT = "a\0b\ud800"
DEEP: dict[str, Any] = {}
for _ in range(900):
    DEEP = {"more": DEEP}


def lines(source: FakeSource) -> list[str]:
    return [one.line() for one in source.findings.kept if one.loss.value != "note"]


def test_an_assessment_of_another_trace_stays_as_it_is(bring: Bring, source: FakeSource, mlflow: Mlflow) -> None:
    bring(source)
    forged = AssessmentRecord("a-1", "correct", "feedback", False, "HUMAN", "eve", BEGAN, BEGAN)
    hostile = FakeSource(address="https://evil.example.com", listed_experiments=source.listed_experiments)
    hostile.listed_traces = [replace(source.listed_traces[1], id="tr-" + eid(72), assessments=(forged,))]

    bring(hostile)

    assert lines(hostile) == [
        f"clash: trace tr-{eid(72)}: an assessment with the id 'a-1' already existed here and was not changed"
    ]
    trace = good(mlflow.call("GET", f"api/3.0/mlflow/traces/{source.listed_traces[0].id}"))["trace"]["trace_info"]
    (kept,) = (one for one in trace["assessments"] if one["assessment_id"] == "a-1")
    assert kept["feedback"]["value"] is True


def test_no_digest_of_what_was_written_can_be_forged() -> None:
    # CRC-32 can be made to be any number by four characters; and no name reaches into its value.
    assert not WrittenValues(digests_of([("tag:x\0y", "z")])).has("tag:x", "y\0z")
    assert not WrittenValues(digests_of([("tag:codding", "")])).has("tag:gnu", "")
    assert WrittenValues(digests_of([("alias:champion", "10")])).has("alias:champion", "10")


def unsound(source: FakeSource) -> None:
    """Put what databases can't store where a text, a number or a short JSON should be."""
    source.listed_experiments[0] = replace(source.listed_experiments[0], name=NO_TEXT, created_ms=10**30)
    source.listed_runs[0] = replace(source.listed_runs[0], id=NO_TEXT)
    (model,) = source.listed_logged_models
    wrong = replace(model.metrics[0], step=10**30, run_id=NO_TEXT)
    source.listed_logged_models = [
        replace(model, updated_ms=-(10**30), status_message=NO_TEXT, metrics=(wrong,)),
        model,  # a second time
    ]
    trace, other = source.listed_traces
    said = replace(trace.assessments[0], id=NO_TEXT, created_ms=10**30, value=DEEP, span_id=5)  # type: ignore[arg-type] # so says the source
    source.listed_traces = [replace(trace, assessments=(said,), metadata={"k": 5}), replace(other, id=NO_TEXT)]  # type: ignore[dict-item] # so says the source
    source.listed_scorers[0] = replace(source.listed_scorers[0], id=NO_TEXT, user=NO_TEXT, created_ms=10**30)
    (dataset,) = source.listed_datasets
    source.listed_datasets = [replace(dataset, digest=NO_TEXT, user=NO_TEXT, schema={"a": 1})]  # type: ignore[arg-type] # so says the source
    source.rows[dataset.id] += [
        EvaluationRowRecord("dr-1", {"q": "the same id"}, user=NO_TEXT, created_ms=10**30),
        EvaluationRowRecord("dr-3", DEEP),
    ]
    source.listed_models[0] = replace(source.listed_models[0], user=NO_TEXT, created_ms=10**30, last_number=10**30)
    source.listed_versions[0] = replace(source.listed_versions[0], run_id=NO_TEXT, logged_model_id=NO_TEXT)
    source.listed_versions[1] = replace(source.listed_versions[1], description=["a"], updated_ms=10**30)  # type: ignore[arg-type] # so says the source


def test_no_value_ends_an_import(bring: Bring, mlflow: Mlflow) -> None:
    source = history()
    unsound(source)

    report = bring(source)

    assert not report.clean
    assert {one.split(":")[1].split()[0] for one in lines(source)} >= {
        "experiment", "run", "logged", "trace", "scorer", "evaluation", "model", "version"
    }  # fmt: skip
    assert mlflow.get("runs/get", run_id=eid(1))["run"]["info"]["status"] == "FAILED"
    assert bring(source).projects[0].here == report.projects[0].here


def test_one_import_into_a_project_at_a_time(deps: Deps, bring: Bring, source: FakeSource) -> None:
    if not deps.db.is_sqlite:
        with (
            alone.alone(deps.db, ProjectId(1)),
            pytest.raises(MltrailError, match="Another import into project 1 is running"),
        ):
            bring(source)
    with alone.alone(deps.db, ProjectId(2)):
        assert bring(source, dry_run=True).dry_run
        assert bring(source).clean
