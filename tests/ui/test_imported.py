"""What was imported is marked on every page that shows it, with where it comes from; addresses are texts."""

import pytest
from flask.testing import FlaskClient

from mltrail_server.domain.ids import ProjectId
from mltrail_server.services.context.deps import Deps
from mltrail_server.store import schema
from mltrail_server.store.traces import links
from tests.api.imported import ON, an_origin, mark
from tests.mlflow_client import LOCAL_TOKEN, Mlflow
from tests.ui.browsing import ML, page, sign_in
from tests.ui.trace_seeds import TraceSeeds

HOSTILE = 'https://evil.example.com/"><script>alert(1)</script>' + "x" * 5000
BADGE = '<span class="badge warning">imported</span>'


@pytest.fixture
def history(mlflow: Mlflow, client: FlaskClient, deps: Deps) -> str:
    """A run, a version and a trace from a place with a hostile address; returns the trace's id."""
    sign_in(client, LOCAL_TOKEN)
    for name in ("elsewhere", "here"):
        run_id = mlflow.post("runs/create", experiment_id="0", run_name=name)["run"]["info"]["run_id"]
        if name == "elsewhere":
            mlflow.post("registered-models/create", name="churn")
            mlflow.post("model-versions/create", name="churn", source="s3://bucket/churn", run_id=run_id)
    trace_id = TraceSeeds(deps).add()
    an_origin(deps, address=HOSTILE, project=1)
    mark(deps, schema.candidate, {"name": "elsewhere"}, project=1)
    mark(deps, schema.model_version, {"number": 1}, project=1)
    mark(deps, schema.trace, {"id": trace_id}, project=1)
    return trace_id


def test_every_page_marks_it(history: str, client: FlaskClient) -> None:
    marks = {
        "candidates/1": 1,
        "candidates/2": 0,
        "experiments/0": 1,
        "compare?run=1&run=2": 1,
        "models/churn": 2,
        "models/churn/versions/1": 1,
        "experiments/0/traces": 1,
    }
    assert {path: page(client, f"{ML}/{path}").count(BADGE) for path in marks} == marks
    for path in ("candidates/1", "models/churn/versions/1", f"traces/{history}"):
        raw = client.get(f"{ML}/{path}").get_data(as_text=True)
        assert "<script>alert" not in raw
        assert 'href="https://evil' not in raw
        assert "from MLflow 2.22.1 at https://evil.example.com/" in page(client, f"{ML}/{path}")
        assert f"… {ON}" in raw, "a long address is cut off"


def test_the_model_card_says_so(history: str, client: FlaskClient) -> None:
    assert "registered by hand" not in page(client, f"{ML}/models/churn/versions/1")
    assert "no: imported from `MLflow 2.22.1` at `https://evil" in page(client, f"{ML}/models/churn/versions/1")


def test_the_page_of_an_imported_evaluation_leads_to_its_traces(history: str, client: FlaskClient, deps: Deps) -> None:
    with deps.project(ProjectId(1)).write() as tx:
        links.to_run(tx, 1, [history], own=False)
    assert "/candidates/1/evaluation" not in page(client, f"{ML}/candidates/1")
    shown = page(client, f"{ML}/candidates/1/evaluation")
    assert "This run was imported" in shown
    assert "/experiments/0/traces?filter=trace.run_id" in shown
