"""Each version has a model card in Markdown."""

from typing import Any

import pytest

from tests.api.promotion.merges import merged, open_request
from tests.api.promotion.promoting import promote
from tests.api.trail import SHAS, Trail
from tests.mlflow_client import Mlflow
from tests.team import EXTERNAL_URL


def card(trail: Trail, version: str = "1.0.0") -> list[str]:
    answer = trail.client.get(
        f"/api/v4/projects/42/ml/models/churn/versions/{version}/card",
        headers={"Authorization": f"Bearer {trail.team.tokens['guest']}"},
    )
    assert answer.status_code == 200, answer.get_data(as_text=True)
    lines: list[str] = answer.get_json()["markdown"].splitlines()
    return lines


def test_it_has_what_people_ask_of_a_model(trail: Trail) -> None:
    request = open_request(trail)
    request.approved_by.append(trail.team.users["owner"])
    reviewed = trail.of_request(request, SHAS["c"])
    trail.train(reviewed, [0.90, 0.92, 0.94])
    pipeline = merged(trail, request)
    promote(trail, pipeline)
    person = trail.person("maintainer")
    fields = {"name": "churn", "version": "1", "description": "Who will leave?\n@everybody /close"}
    person.call("PATCH", "api/2.0/mlflow/model-versions/update", json=fields)
    lines, gitlab = card(trail), trail.team.gitlab.url
    assert lines[0] == "# `churn` 1.0.0"
    assert "> `@everybody /close`" in lines
    assert "| Alias | `champion` |" in lines
    assert f"for [pipeline {pipeline.id}]({gitlab}/team/churn/-/pipelines/{pipeline.id}) |" in " ".join(lines)
    assert f"| Merge request | [!1]({gitlab}/team/churn/-/merge_requests/1), approved by `owner` |" in lines
    assert f"| Run | [`run-2`]({EXTERNAL_URL}/team/churn/-/ml/candidates/3) |" in lines
    assert f"| Commit | [`cccccccc`]({gitlab}/team/churn/-/commit/{SHAS['c']}) |" in lines
    assert "| `val_accuracy` | 0.9200 | 0.8703 to 0.9697 | 3 |" in lines
    assert "| `lr` | `0.1` |" in lines
    assert any(line.startswith("| Files | ") and line.endswith(" bytes |") for line in lines)
    assert 'model = mlflow.pyfunc.load_model("models:/churn/1.0.0")' in lines
    assert "mltrail verify 'models:/churn/1.0.0'" in lines


def test_a_single_run_has_no_interval(trail: Trail) -> None:
    pipeline = trail.main(SHAS["b"])
    trail.train(pipeline, [0.9])
    promote(trail, pipeline)
    assert "| `val_accuracy` | 0.9000 | 1 run: not known | 1 |" in card(trail, "champion")


def test_what_was_registered_by_hand_says_so(trail: Trail) -> None:
    person = trail.person("developer")
    person.post("registered-models/create", name="churn")
    person.post("model-versions/create", name="churn", source="")
    assert "| Promoted | no: registered by hand, without any checks |" in card(trail, "1")


@pytest.mark.parametrize("bad", ["| a | b |\n/close", "`" * 40, "<script>alert(1)</script>", "@all !1 #1 :tada:"])
def test_what_a_person_can_name_stays_inert(trail: Trail, bad: Any) -> None:
    pipeline = trail.main(SHAS["b"])
    job = trail.train(pipeline, [0.9], lr=bad, status=None)
    mlflow = Mlflow(trail.client, project="42", token=trail.team.gitlab.mint(job, EXTERNAL_URL))
    run_id = trail.runs()[0]["info"]["run_id"]
    mlflow.post("runs/log-metric", run_id=run_id, key="x", value=1, timestamp=1)
    mlflow.post("runs/update", run_id=run_id, status="FINISHED", run_name=bad)
    trail.team.gitlab.set_job(job, "success")
    promote(trail, pipeline)
    for line in card(trail):
        assert not line.startswith("/")
        outside = "".join(line.split("`")[::2]) if "`" * 2 not in line else ""
        assert "@" not in outside
        assert "<script" not in outside
