"""A merge request that loads another version of a prompt: its note and report say which words have changed.

https://mlflow.org/docs/latest/genai/prompt-registry/
"""

import json

import pytest

from mltrail_server.domain import prompts
from tests.api.review.merge_requests import GOOD, a_main, a_request
from tests.api.trail import SHAS, Trail
from tests.team import EXTERNAL_URL

pytestmark = pytest.mark.usefixtures("bot_is_a_developer")


def registered(trail: Trail, name: str, *texts: str) -> None:
    """Register versions of a prompt as MLflow's client does."""
    mlflow = trail.person("developer")
    mlflow.post("registered-models/create", name=name, tags=[{"key": "mlflow.prompt.is_prompt", "value": "true"}])
    for text in texts:
        tags = {"mlflow.prompt.is_prompt": "true", prompts.TEXT_TAG: text, prompts.TYPE_TAG: "text"}
        listed = [{"key": key, "value": value} for key, value in tags.items()]
        mlflow.post("model-versions/create", name=name, source="dummy-source", tags=listed)


def loading(**versions: int) -> dict[str, str]:
    linked = [{"name": name, "version": str(number)} for name, number in versions.items()]
    return {prompts.LINKED_TAG: json.dumps(linked)}


@pytest.mark.parametrize("backend", ["sqlite", "postgresql"])
def test_the_words_that_changed_are_in_the_note(trail: Trail) -> None:
    registered(trail, "qa", "Answer in one sentence.", "Answer in two sentences.")
    registered(trail, "style", "Be kind.")
    main = a_main(trail, SHAS["b"], None, [])
    trail.train(main, GOOD, tags=loading(qa=1, style=1, old=4))
    _, pipeline = a_request(trail, GOOD, tags=loading(qa=2, style=1, new=1))
    report = trail.report(pipeline)
    pages = f"{EXTERNAL_URL}/team/churn/-/ml/prompts"
    changed = "- `Answer in` ~~`one sentence`~~ <ins>`two sentences`</ins>\n"
    assert f"[`qa`]({pages}/qa?from=1&to=2), version 1 → 2:\n\n{changed}" in report["markdown"]
    assert "<summary>Prompts: 1 changed, 1 new, 1 no longer loaded, 1 unchanged</summary>" in report["markdown"]
    assert f"Unchanged: [`style`]({pages}/style) (version 1)\n" in report["markdown"]
    (model,) = report["models"]
    assert {one["name"]: (one["from"], one["to"], one["same_text"]) for one in model["prompts"]} == {
        "qa": ([1], [2], False),
        "new": ([], [1], None),
        "old": ([4], [], None),
        "style": ([1], [1], True),
    }


@pytest.mark.parametrize("backend", ["sqlite"])
def test_tags_of_others_name_no_prompts(trail: Trail) -> None:
    """What a run has loaded is what its own job has said."""
    main = a_main(trail, SHAS["b"], None, [])
    trail.train(main, GOOD, tags=loading(qa=1))
    _, pipeline = a_request(trail, GOOD, tags=loading(qa=1))
    trail.report(pipeline)
    for run in trail.runs():
        forged = loading(evil=1)
        trail.person("maintainer").call(
            "POST",
            "api/2.0/mlflow/runs/set-tag",
            json={"run_id": run["info"]["run_id"], "key": prompts.LINKED_TAG, "value": forged[prompts.LINKED_TAG]},
        )
    (model,) = trail.report(pipeline)["models"]
    assert [one["name"] for one in model["prompts"]] == ["qa"]


@pytest.mark.parametrize("backend", ["sqlite"])
def test_a_version_that_was_deleted_is_said_to_be_gone(trail: Trail) -> None:
    registered(trail, "qa", "one", "two")
    trail.train(a_main(trail, SHAS["b"], None, []), GOOD, tags=loading(qa=1))
    _, pipeline = a_request(trail, GOOD, tags=loading(qa=2))
    deleted = trail.person("developer").call(
        "DELETE", "api/2.0/mlflow/model-versions/delete", json={"name": "qa", "version": "1"}
    )
    assert deleted.status_code == 200
    assert "not compared, since version 1 is not in the registry any more" in trail.report(pipeline)["markdown"]
