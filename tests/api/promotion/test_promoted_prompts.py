"""A prompt's alias that the contract names moves only with a promotion, to the version that the promoted run loaded.

https://mlflow.org/docs/latest/genai/prompt-registry/
"""

import hashlib
import json
from typing import Any

import pytest

from mltrail_server import worker
from mltrail_server.store.registry import aliases as alias_store
from tests.api.promotion.alias_routes import ROUTES
from tests.api.promotion.merges import CHANGE, merged
from tests.api.promotion.promoting import by_hand, promote, statement
from tests.api.trail import SHAS, Trail
from tests.fakes.gitlab import Pipeline
from tests.mlflow_client import Mlflow, good
from tests.team import EXTERNAL_URL

MODEL = "{prompts: {qa: {alias: production}}, rank_by: val_accuracy, promote: {from: [default], reuse_reviewed: true}}"
CONTRACT = f"version: 1\nmodels: {{churn: {MODEL}, other: {MODEL}}}\n"
IS_PROMPT = {"key": "mlflow.prompt.is_prompt", "value": "true"}


def register(trail: Trail, *texts: str) -> None:
    """Register versions of the prompt, as MLflow's clients do."""
    developer = trail.person("developer")
    developer.call("POST", "api/2.0/mlflow/registered-models/create", json={"name": "qa", "tags": [IS_PROMPT]})
    for text in texts:
        tags = [IS_PROMPT, {"key": "mlflow.prompt.text", "value": text}]
        developer.post("model-versions/create", name="qa", source="prompt-template", tags=tags)


def train(trail: Trail, pipeline: Pipeline, *versions: str, value: float = 0.9, experiment: str = "churn") -> None:
    """Train a run that has loaded these versions of the prompt."""
    loaded = json.dumps([{"name": "qa", "version": version} for version in versions])
    tags = {"mlflow.linkedPrompts": loaded}
    job = trail.train(pipeline, [value], experiment=experiment, job_name=experiment, tags=tags, status=None)
    gitlab = trail.team.gitlab
    mlflow = Mlflow(trail.client, project="42", token=gitlab.mint(job, EXTERNAL_URL))
    found = mlflow.get("experiments/get-by-name", experiment_name=experiment)["experiment"]
    for run in mlflow.post("runs/search", experiment_ids=[found["experiment_id"]])["runs"]:
        if run["info"]["status"] == "RUNNING":
            mlflow.post("runs/update", run_id=run["info"]["run_id"], status="FINISHED", end_time=trail.clock())
    gitlab.set_job(job, "success")


def production(trail: Trail) -> str | None:
    found = trail.person("guest").get("registered-models/get", name="qa")["registered_model"].get("aliases", ())
    return next((one["version"] for one in found if one["alias"] == "production"), None)


@pytest.fixture
def main(trail: Trail) -> Pipeline:
    register(trail, "Answer.", "Answer briefly.")
    return trail.main(SHAS["b"], CONTRACT)


def test_the_alias_moves_with_the_model(trail: Trail, main: Pipeline) -> None:
    train(trail, main, "1")
    (dry,) = promote(trail, main, dry_run=True)
    assert (dry["prompts"], production(trail)) == (
        [{"name": "qa", "alias": "production", "version": 1, "replaces": None}],
        None,
    )
    (first,) = promote(trail, main)
    assert (first["state"], production(trail)) == ("promoted", "1")
    following = trail.main(SHAS["c"], CONTRACT)
    train(trail, following, "2", value=0.95)
    (second,) = promote(trail, following)
    assert second["prompts"] == [{"name": "qa", "alias": "production", "version": 2, "replaces": 1}]
    assert production(trail) == "2"
    history = good(
        trail.client.get(
            "/api/v4/projects/42/ml/models/qa/aliases",
            headers={"Authorization": f"Bearer {trail.team.tokens['guest']}"},
        )
    )["moves"]
    assert [(one["pipeline_id"], one["reason"]) for one in history] == [
        (following.id, f"promoted with churn {second['version']}"),
        (main.id, "promoted with churn 1.0.0"),
    ]


@pytest.mark.parametrize("wish", [{"alias": ""}, {"alias": "shadow"}])
def test_it_stays_if_the_model_s_own_alias_does_not_move(trail: Trail, main: Pipeline, wish: dict[str, str]) -> None:
    train(trail, main, "1")
    (done,) = promote(trail, main, **wish)
    assert (done["state"], done["prompts"], production(trail)) == ("promoted", [], None)


def test_it_stays_if_the_run_has_loaded_no_version(trail: Trail, main: Pipeline) -> None:
    train(trail, main)
    (done,) = promote(trail, main)
    assert (done["state"], done["prompts"], production(trail)) == ("promoted", [], None)


def test_several_versions_are_refused(trail: Trail, main: Pipeline) -> None:
    train(trail, main, "1", "2")
    (done,) = promote(trail, main)
    assert (done["state"], production(trail)) == ("refused", None)
    assert "has loaded versions 1 and 2 of the prompt `qa`" in done["reason"]


def test_a_deleted_version_is_refused(trail: Trail, main: Pipeline) -> None:
    train(trail, main, "2")
    developer = trail.person("developer")
    good(developer.call("DELETE", "api/2.0/mlflow/model-versions/delete", json={"name": "qa", "version": "2"}))
    (done,) = promote(trail, main)
    assert done["state"] == "refused"
    assert "was deleted" in done["reason"]


def test_another_prompt_of_the_same_name_is_refused(trail: Trail, main: Pipeline) -> None:
    """Whoever deletes a prompt and registers another text under its name gets nothing promoted."""
    train(trail, main, "1")
    developer = trail.person("developer")
    good(developer.call("DELETE", "api/2.0/mlflow/registered-models/delete", json={"name": "qa"}))
    trail.clock.advance(3_600_000)
    register(trail, "Say that everything is free.")
    (done,) = promote(trail, main)
    assert done["state"] == "refused"
    assert "is newer than `run-0`" in done["reason"]


@pytest.mark.parametrize("key", ["mlflow.prompt.text", "mlflow.prompt.is_prompt"])
def test_what_was_evaluated_keeps_its_text(trail: Trail, main: Pipeline, key: str) -> None:
    for role in ("developer", "maintainer"):
        person, fields = trail.person(role), {"name": "qa", "version": "1", "key": key}
        status, _, message = person.error("POST", "model-versions/set-tag", **fields, value="Say that all is free.")
        assert (status, "can't change its text" in message) == (400, True)
        assert person.error("DELETE", "model-versions/delete-tag", **fields)[0] == 400


def test_a_promoted_version_is_kept_but_takes_notes(trail: Trail, main: Pipeline) -> None:
    train(trail, main, "1")
    promote(trail, main)
    developer, fields = trail.person("developer"), {"name": "qa", "version": "1"}
    developer.post("model-versions/set-tag", **fields, key="mlflow.prompt.run_ids", value="some")
    settings = {"key": "_mlflow_prompt_model_config", "value": '{"temperature": 2}'}
    assert developer.error("POST", "model-versions/set-tag", **fields, **settings)[0] == 403
    assert developer.error("DELETE", "model-versions/delete", **fields)[0] == 403
    assert developer.error("DELETE", "registered-models/delete", name="qa")[0] in (400, 403)


@pytest.mark.parametrize("route", ROUTES)
def test_nobody_moves_it_to_what_was_not_promoted(trail: Trail, main: Pipeline, route: str) -> None:
    for role in ("developer", "maintainer"):
        for alias in ("production", "Production", "PRODUCTION"):
            ROUTES[route](trail, role, "qa", alias, "1")
            assert production(trail) is None
    ROUTES[route](trail, "developer", "qa", "staging", "1")
    found = trail.person("guest").get("registered-models/get", name="qa")["registered_model"]["aliases"]
    assert found == [{"alias": "staging", "version": "1"}]


def test_a_maintainer_goes_back_to_what_was_promoted(trail: Trail, main: Pipeline) -> None:
    train(trail, main, "1")
    promote(trail, main)
    following = trail.main(SHAS["c"], CONTRACT)
    train(trail, following, "2", value=0.95)
    promote(trail, following)
    fields = {"name": "qa", "alias": "production", "version": "1"}
    assert trail.person("developer").error("POST", "registered-models/alias", **fields)[0] == 403
    trail.person("maintainer").post("registered-models/alias", **fields)
    assert production(trail) == "1"


TAKEN_AWAY = {
    "its version deleted": ("DELETE", "model-versions/delete", {"version": "1"}),
    "deleted": ("DELETE", "registered-models/delete", {}),
    "renamed": ("POST", "registered-models/rename", {"new_name": "qb"}),
}


@pytest.mark.parametrize("promoted", [True, False], ids=["promoted", "before"])
@pytest.mark.parametrize("what", TAKEN_AWAY)
def test_a_developer_takes_no_prompt_from_its_alias(trail: Trail, what: str, *, promoted: bool) -> None:
    """Neither from one that promotions have moved nor from one that was given before the contract managed it."""
    register(trail, "Answer.", "Answer briefly.")
    developer = trail.person("developer")
    if promoted:
        main = trail.main(SHAS["b"], CONTRACT)
        train(trail, main, "1")
        promote(trail, main)
    else:
        developer.post("registered-models/alias", name="qa", alias="production", version="1")
        trail.main(SHAS["b"], CONTRACT)
    verb, path, fields = TAKEN_AWAY[what]
    status, code, message = developer.error(verb, path, name="qa", **fields)
    assert (status, code, "Maintainer" in message) == (403, "PERMISSION_DENIED", True)
    # So there is no prompt of this name to create again, with another text.
    assert developer.error("POST", "registered-models/create", name="qa", tags=[IS_PROMPT])[0] == 400
    assert production(trail) == "1"


def test_what_has_no_managed_alias_is_the_developer_s(trail: Trail, main: Pipeline) -> None:
    developer = trail.person("developer")
    developer.post("registered-models/alias", name="qa", alias="staging", version="1")
    good(developer.call("DELETE", "api/2.0/mlflow/model-versions/delete", json={"name": "qa", "version": "1"}))
    developer.post("registered-models/rename", name="qa", new_name="qb")
    good(developer.call("DELETE", "api/2.0/mlflow/registered-models/delete", json={"name": "qb"}))


@pytest.mark.parametrize("what", TAKEN_AWAY)
def test_a_maintainer_takes_away_what_was_never_promoted(trail: Trail, what: str) -> None:
    register(trail, "Answer.")
    trail.person("developer").post("registered-models/alias", name="qa", alias="production", version="1")
    trail.main(SHAS["b"], CONTRACT)
    verb, path, fields = TAKEN_AWAY[what]
    good(trail.person("maintainer").call(verb, f"api/2.0/mlflow/{path}", json={"name": "qa", **fields}))


def test_it_stays_managed_when_the_contract_names_it_no_longer(trail: Trail, main: Pipeline) -> None:
    train(trail, main, "1")
    promote(trail, main)
    trail.main(SHAS["d"], "version: 1\nmodels: {churn: {}}\n")
    fields = {"name": "qa", "alias": "production", "version": "2"}
    assert trail.person("developer").error("POST", "registered-models/alias", **fields)[0] == 403


def test_an_older_pipeline_does_not_take_it_back(trail: Trail, main: Pipeline) -> None:
    train(trail, main, "1", experiment="other")
    newer = trail.main(SHAS["c"], CONTRACT)
    train(trail, newer, "2")
    promote(trail, newer, model="churn")
    (done,) = promote(trail, main, model="other")
    assert (done["state"], done["prompts"], production(trail)) == ("promoted", [], "2")


def test_two_models_of_a_pipeline_share_a_prompt_if_they_loaded_the_same_version(trail: Trail, main: Pipeline) -> None:
    train(trail, main, "1")
    train(trail, main, "1", experiment="other")
    assert [one["state"] for one in promote(trail, main)] == ["promoted", "promoted"]
    following = trail.main(SHAS["c"], CONTRACT)
    train(trail, following, "1", value=0.95)
    train(trail, following, "2", value=0.95, experiment="other")
    first, second = promote(trail, following)
    assert (first["state"], second["state"], production(trail)) == ("promoted", "refused", "1")
    assert "promoted version 1 of its prompt with another model, not 2" in second["reason"]


def test_an_alias_that_moves_meanwhile_is_looked_at_again(
    trail: Trail, main: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The alias is read when the promotion is planned, and again when it is written."""
    train(trail, main, "1")
    target, asked = alias_store.target, []

    def moved_once(tx: Any, model_id: int, alias: str) -> int | None:
        if alias == "production":
            asked.append(model_id)
            if len(asked) == 1:
                return 2
        return target(tx, model_id, alias)

    monkeypatch.setattr(alias_store, "target", moved_once)
    (done,) = promote(trail, main)
    assert (done["state"], production(trail)) == ("promoted", "1")
    assert done["prompts"][0]["replaces"] is None


def test_a_person_s_tag_moves_nothing(trail: Trail, main: Pipeline) -> None:
    """Whoever writes to the run of a job says nothing about what it has loaded."""
    trail.train(main, [0.9])
    run = trail.runs()[0]["info"]["run_id"]
    maintainer = trail.person("maintainer")
    loaded = json.dumps([{"name": "qa", "version": "2"}])
    maintainer.call(
        "POST", "api/2.0/mlflow/runs/set-tag", json={"run_id": run, "key": "mlflow.linkedPrompts", "value": loaded}
    )
    (done,) = by_hand(trail, pipeline_id=main.id)
    assert (done["state"], done["prompts"], production(trail)) == ("promoted", [], None)


def test_comment_preview_and_provenance_name_the_prompt(trail: Trail, main: Pipeline) -> None:
    train(trail, main, "1")
    promote(trail, main)
    gitlab, project = trail.team.gitlab, trail.team.project
    gitlab.add_commit(project, SHAS["c"], parents=(SHAS["b"],), branch="faster", files=CHANGE)
    request = gitlab.add_merge_request(project, "faster", "main", "Learn faster")
    train(trail, trail.of_request(request, SHAS["c"]), "2", value=0.95)
    trail.work()
    assert "`production` of the prompt `qa` moves from version 1 to 2." in trail.notes(request)[0]
    promote(trail, merged(trail, request))
    worker.run_once(trail.deps)
    comment = next(body for body in trail.notes(request) if body.startswith("<!-- mltrail promotion="))
    assert "`production` of the prompt [`qa`](" in comment
    assert ") is now version 2." in comment
    (made,) = statement(trail, "1.1.0")["predicate"]["runDetails"]["byproducts"]
    digest = hashlib.sha256(b"Answer briefly.").hexdigest()
    assert made["annotations"]["prompts"] == [{"name": "qa", "version": 2, "alias": "production", "sha256": digest}]


def test_a_run_that_has_loaded_such_a_prompt_needs_no_model(trail: Trail, main: Pipeline) -> None:
    """Projects of prompts log none. The version then has the run's files, whatever becomes of the run."""
    trail.train(main, [0.9], model=False, tags={"mlflow.linkedPrompts": '[{"name": "qa", "version": "1"}]'})
    run = trail.runs()[0]["info"]
    (done,) = promote(trail, main)
    assert (done["state"], done["version"], production(trail)) == ("promoted", "1.0.0", "1")
    found = trail.person("guest").get("model-versions/get", name="churn", version="1")["model_version"]
    assert (found["run_id"], "champion" in found["aliases"]) == (run["run_id"], True)
    assert statement(trail)["subject"] == []


def test_a_run_that_has_loaded_none_needs_a_model(trail: Trail, main: Pipeline) -> None:
    trail.train(main, [0.9], model=False)
    (done,) = promote(trail, main)
    assert (done["state"], "has logged no model" in done["reason"]) == ("nothing", True)
