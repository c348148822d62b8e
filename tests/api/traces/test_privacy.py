"""No route tells Guests, visitors of a public project and fork's jobs what customers wrote, however it is asked."""

import json

import pytest
from flask.testing import FlaskClient

from tests.api.identity.jobs import fork_job
from tests.api.traces.caller import a_trace, traces_by
from tests.api.traces.calls import post
from tests.api.traces.traces_json import ATTACHMENT, FOLDER, ID, file_of, put
from tests.api.tracking.runs import new_run
from tests.mlflow_client import FILES, good
from tests.team import EXTERNAL_URL, Team

SECRET = "words of a customer"
BACKENDS = ("sqlite",)


@pytest.mark.parametrize("who", ["guest", "visitor", "fork"])
def test_nothing_of_a_trace_is_told_to_those_who_read_none(gitlab_client: FlaskClient, team: Team, who: str) -> None:
    team.project.visibility = "public"
    author = traces_by(gitlab_client, team.tokens["developer"])
    run_id = new_run(author)
    author.start(
        ID,
        request_preview=SECRET,
        client_request_id=SECRET,
        tags={"said": SECRET},
        trace_metadata={"mlflow.sourceRun": run_id, "mlflow.trace.user": SECRET},
    )
    good(put(author, file_of(1, said=json.dumps(SECRET))))
    good(put(author, SECRET.encode(), ATTACHMENT))
    said = {"assessment_name": "right", "feedback": {"value": SECRET}, "rationale": SECRET}
    assessment_id = post(author, f"traces/{ID}/assessments", assessment=said)["assessment"]["assessment_id"]
    dataset_id = post(author, "datasets/create", name="golden")["dataset"]["dataset_id"]
    post(author, f"datasets/{dataset_id}/records", records=json.dumps([{"inputs": {"question": SECRET}}]))
    tokens = {
        "guest": team.tokens["guest"],
        "visitor": team.tokens["stranger"],
        "fork": team.gitlab.mint(fork_job(team), EXTERNAL_URL),
    }
    caller = traces_by(gitlab_client, tokens[who])
    name = ATTACHMENT.rpartition("/")[2]
    three, where = "api/3.0/mlflow", {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": "0"}}
    gets = [
        f"{FILES}/{FOLDER}/traces.json",
        f"{FILES}/0{FOLDER}/traces.json",
        f"{FILES}/{FOLDER.replace('/', '%2F')}/traces.json",
        f"{FILES}/{ATTACHMENT}",
        f"{FILES}?path={FOLDER}/attachments",
        f"{FILES}?path=0/traces",
        f"{FILES.replace('/artifacts', '/presigned')}/{ATTACHMENT}",
        f"get-artifact?run_id={run_id}&path=../../traces/{ID}/artifacts/traces.json",
        f"api/2.0/mlflow/artifacts/list?run_id={run_id}",
        f"api/2.0/mlflow/runs/get?run_id={run_id}",
        f"ajax-api/2.0/mlflow/get-trace-artifact?request_id={ID}",
        f"ajax-api/3.0/mlflow/get-trace-artifact?request_id={ID}&path={name}",
        "api/2.0/mlflow/traces?experiment_ids=0",
        f"api/2.0/mlflow/traces/{ID}/info",
        f"{three}/traces/{ID}",
        f"{three}/traces/get?trace_id={ID}",
        f"{three}/traces/batchGet?trace_ids={ID}",
        f"{three}/traces/{ID}/assessments/{assessment_id}",
        f"{three}/datasets/{dataset_id}",
        f"{three}/datasets/{dataset_id}/records",
    ]
    for path in gets:
        data = caller.call("GET", path).get_data(as_text=True)
        assert SECRET not in data, path
        assert name not in data or path.endswith(name), path
    filters = dict.fromkeys(("filter_string1", "filter_string2"), f"tags.said = '{SECRET}'")
    posts = {
        "traces/search": {"locations": [where]},
        "traces/batchGetInfos": {"trace_ids": [ID]},
        "traces/calculate-filter-correlation": {"experiment_ids": ["0"], **filters},
        "traces": {"trace": a_trace(ID)},
        "datasets/search": {},
    }
    for path, body in posts.items():
        answer = caller.call("POST", f"{three}/{path}", json=body)
        assert (SECRET in answer.get_data(as_text=True), answer.status_code) == (False, 403 if "trace" in path else 200)
