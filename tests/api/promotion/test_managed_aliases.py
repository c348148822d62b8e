"""Aliases and stages that only promotions give: before the first promotion, under other spellings, by every route."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.api.promotion.alias_routes import ROUTES, by_mlflow
from tests.api.promotion.promoting import aliases, promote, with_contract
from tests.api.trail import SHAS, Trail
from tests.mlflow_client import good

BOLD = "\N{MATHEMATICAL BOLD SMALL C}hampion"
PROMOTES = """
version: 1
models:
  churn:
    rank_by: val_accuracy
    promote: {from: [default], alias: live}
"""
GATES_ONLY = """
version: 1
models:
  churn: {rules: [{metric: val_accuracy, better: higher, at_least: 0.1}]}
"""


def registered_by_hand(trail: Trail, name: str = "churn") -> str:
    """Register a version of a model, and answer its number."""
    developer = trail.person("developer")
    developer.call("POST", "api/2.0/mlflow/registered-models/create", json={"name": name})
    run_id = developer.post("runs/create", experiment_id="0")["run"]["info"]["run_id"]
    good(developer.call("PUT", f"api/2.0/mlflow-artifacts/artifacts/0/{run_id}/artifacts/m/MLmodel", data=b"x"))
    made = developer.post("model-versions/create", name=name, source=f"runs:/{run_id}/m", run_id=run_id)
    return str(made["model_version"]["version"])


def _wide(text: str) -> str:
    """Write a text in full-width letters."""
    return "".join(chr(ord(one) + 0xFEE0) for one in text)


ALIKE = ("Champion", "CHAMPION", "chamPion", _wide("champion"), "ch\N{LATIN SMALL LETTER A WITH ACUTE}mpion", BOLD)


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("role", ["developer", "maintainer"])
def test_before_the_first_promotion(trail: Trail, route: str, role: str) -> None:
    with_contract(trail, PROMOTES)
    version = registered_by_hand(trail)
    for alias in ("live", "Live", _wide("LIVE"), "champion", *ALIKE):
        answer = ROUTES[route](trail, role, "churn", alias, version)
        assert answer.status_code in (403, 409, 303, 400), (alias, answer.status_code)
        assert aliases(trail) == {}, alias
    ROUTES[route](trail, "developer", "churn", "candidate", version)
    assert aliases(trail) == {"candidate": version}


@pytest.mark.parametrize("text", [None, GATES_ONLY])
@pytest.mark.parametrize("route", ROUTES)
def test_without_promotion_aliases_work_as_in_mlflow(trail: Trail, route: str, text: str | None) -> None:
    if text is not None:
        with_contract(trail, text)
    version = registered_by_hand(trail)
    for alias in ("champion", "Champion"):
        ROUTES[route](trail, "developer", "churn", alias, version)
    assert aliases(trail) == {"champion": version, "Champion": version}
    moved = trail.person("developer").post(
        "model-versions/transition-stage", name="churn", version=version, stage="Production"
    )
    assert moved["model_version"]["current_stage"] == "Production"
    trail.person("developer").call(
        "DELETE", "api/2.0/mlflow/registered-models/alias", json={"name": "churn", "alias": "champion"}
    )
    assert aliases(trail) == {"Champion": version}


def test_a_contract_that_can_t_be_read_frees_nothing(trail: Trail) -> None:
    with_contract(trail, "version: 1\nmodels: {churn: {promote: {from: [defau")
    assert by_mlflow(trail, "developer", "churn", "champion", registered_by_hand(trail)).status_code == 403


def test_while_gitlab_is_down_what_was_read_last_holds(trail: Trail) -> None:
    pipeline = with_contract(trail, PROMOTES)
    trail.train(pipeline, [0.9])
    trail.report(pipeline)
    version = registered_by_hand(trail)
    trail.team.gitlab.fail_next("GET", "/raw$", 503)
    assert by_mlflow(trail, "developer", "churn", "live", version).status_code == 403


def promoted(trail: Trail) -> str:
    """Promote a version without a contract, and answer its number."""
    pipeline = trail.main(SHAS["b"])
    trail.train(pipeline, [0.9])
    (done,) = promote(trail, pipeline)
    return str(done["number"])


@pytest.mark.parametrize("role", ["developer", "maintainer"])
@pytest.mark.parametrize("route", ROUTES)
def test_what_looks_like_the_alias_of_promotions(trail: Trail, route: str, role: str) -> None:
    number = promoted(trail)
    other = registered_by_hand(trail)
    for alias in ("champion", *ALIKE):
        for version in {other, number} if alias != "champion" else {other}:
            ROUTES[route](trail, role, "churn", alias, version)
            assert aliases(trail) == {"champion": number}, alias
    # In its other models, too.
    version = registered_by_hand(trail, "fraud")
    assert by_mlflow(trail, role, "fraud", "champion", version).status_code in (403, 409, 400)


@pytest.mark.parametrize("role", ["developer", "maintainer"])
@pytest.mark.parametrize("archive", [True, False])
def test_only_promoted_versions_are_production(trail: Trail, role: str, *, archive: bool) -> None:
    number, other = promoted(trail), registered_by_hand(trail)
    fields = {"name": "churn", "stage": "production", "archive_existing_versions": archive}
    maintainer = trail.person("maintainer")
    maintainer.post("model-versions/transition-stage", version=number, **fields)
    code, _, message = trail.person(role).error("POST", "model-versions/transition-stage", version=other, **fields)
    assert code in (400, 403, 409)
    assert "only promoted versions can be in Production" in message or "Maintainer" in message
    trail.person("developer").post("model-versions/transition-stage", name="churn", version=other, stage="Staging")
    stages = {
        one["version"]: one["current_stage"]
        for one in maintainer.get("model-versions/search", filter="name = 'churn'")["model_versions"]
    }
    assert stages == {number: "Production", other: "Staging"}


def _deleted(trail: Trail) -> None:
    owner = trail.person("owner")
    owner.call("DELETE", "api/2.0/mlflow/registered-models/alias", json={"name": "churn", "alias": "champion"})
    good(owner.call("DELETE", "api/2.0/mlflow/registered-models/delete", json={"name": "churn"}))


def _renamed(trail: Trail) -> None:
    trail.person("owner").post("registered-models/rename", name="churn", new_name="old churn")


@pytest.mark.parametrize("role", ["developer", "maintainer"])
@pytest.mark.parametrize("gone", [_deleted, _renamed])
@pytest.mark.parametrize("alias", ["champion", "Champion"])
def test_a_model_that_carries_the_alias_to_a_promoted_name(
    trail: Trail, gone: Callable[[Trail], None], role: str, alias: str
) -> None:
    version = registered_by_hand(trail, "evil")
    good(by_mlflow(trail, "developer", "evil", alias, version))  # nothing was promoted yet
    promoted(trail)
    gone(trail)
    fields: dict[str, Any] = {"name": "evil", "new_name": "churn"}
    code, _, message = trail.person(role).error("POST", "registered-models/rename", **fields)
    assert code in (400, 403, 409)
    assert "Maintainer" in message or "Remove the alias first" in message
    owner = trail.person("owner")
    owner.call("DELETE", "api/2.0/mlflow/registered-models/alias", json={"name": "evil", "alias": alias})
    owner.post("registered-models/rename", **fields)
    assert aliases(trail) == {}
