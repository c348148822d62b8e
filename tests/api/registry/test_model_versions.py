"""Model versions: https://mlflow.org/docs/latest/api_reference/rest-api.html#create-modelversion."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask import Flask

from mltrail_server.domain.errors import Code, MltrailError
from mltrail_server.domain.identity import Access, Actor, TokenKind
from mltrail_server.domain.ids import ProjectId
from mltrail_server.services.context.deps import Deps, Scope
from mltrail_server.services.registry import versions
from mltrail_server.store.registry import versions as store
from mltrail_server.store.registry.versions import NewVersion
from tests.clock import START, FrozenClock
from tests.mlflow_client import INVALID, MISSING, TAKEN, Make, Mlflow, failure, good


def get(mlflow: Mlflow, version: str) -> Any:
    return mlflow.get("model-versions/get", name="churn", version=version)["model_version"]


def send(mlflow: Mlflow, method: str, path: str, **fields: Any) -> Any:
    return good(mlflow.call(method, f"api/2.0/mlflow/model-versions/{path}", json={"name": "churn"} | fields))


def test_create_and_get(mlflow: Mlflow, make: Make, run_id: str) -> None:
    source = f"mlflow-artifacts:/0/{run_id}/artifacts/model"
    made = make(
        source=source,
        run_id=run_id,
        run_link="https://gitlab.example.com/job/1",
        description="first",
        tags=[{"key": "stage", "value": "eval"}],
    )
    assert made == {
        "name": "churn",
        "version": "1",
        "creation_timestamp": START,
        "last_updated_timestamp": START,
        "user_id": "local",
        "current_stage": "None",
        "description": "first",
        "source": source,
        "run_id": run_id,
        "run_link": "https://gitlab.example.com/job/1",
        "status": "READY",
        "status_message": "",
        "aliases": ["1.0.0"],
        "tags": [{"key": "stage", "value": "eval"}],
    }
    assert get(mlflow, "1") == made
    assert get(mlflow, "1.0.0") == made


def test_the_semver_is_the_clients_or_one_patch_higher_than_the_highest(make: Make) -> None:
    assert make()["aliases"] == ["1.0.0"]
    named = make(semver="2.3.9")
    assert (named["version"], named["aliases"]) == ("2", ["2.3.9"])
    assert named["tags"] == [{"key": "gitlab.version", "value": "2.3.9"}]
    assert make(semver="1.4.0")["aliases"] == ["1.4.0"]
    assert make()["aliases"] == ["2.3.10"]
    assert make(semver="3.0.0-rc.1")["aliases"] == ["3.0.0-rc.1"]
    assert make()["aliases"] == ["3.0.0"]


def test_a_semver_is_never_used_twice_and_a_number_neither(mlflow: Mlflow, make: Make) -> None:
    make(semver="1.0.0")
    make(semver="1.1.0")
    send(mlflow, "DELETE", "delete", version="1.1.0")
    tags = [{"key": "gitlab.version", "value": "1.1.0"}]
    status, code, message = mlflow.error("POST", "model-versions/create", name="churn", tags=tags)
    assert (status, code) == TAKEN
    assert "Version has already been taken" in message
    made = make()
    assert (made["version"], made["aliases"]) == ("3", ["1.0.1"])


def test_numbers_go_on_from_the_highest_that_is_there_and_pass_over_the_deleted(mlflow: Mlflow, make: Make) -> None:
    make(semver="1.0.0")
    make(semver="90000.0.0")
    assert make()["aliases"] == ["90000.0.1"]
    for slip in ("90000.0.0", "90000.0.1"):
        send(mlflow, "DELETE", "delete", version=slip)
    made = make()
    assert made["aliases"] == ["1.0.1"]
    for there in ("1.0.0", "1.0.1"):
        send(mlflow, "DELETE", "delete", version=there)
    assert make()["aliases"] == ["1.0.2"]


def test_a_number_that_leaves_no_room_for_the_next_is_refused(mlflow: Mlflow, make: Make) -> None:
    make(semver=f"{'9' * 249}.0.999")
    status, code, message = mlflow.error("POST", "model-versions/create", name="churn")
    assert (status, code) == INVALID
    assert "255 characters" in message


@pytest.mark.parametrize("semver", ["1.0", "v1.0.0", "one", ""])
def test_a_version_that_is_not_semantic_is_refused_and_leaves_nothing(mlflow: Mlflow, make: Make, semver: str) -> None:
    tags = [{"key": "gitlab.version", "value": semver}]
    assert mlflow.error("POST", "model-versions/create", name="churn", tags=tags)[:2] == INVALID
    assert make()["version"] == "1"


def test_a_deleted_version_is_gone_with_aliases_and_tags(mlflow: Mlflow, make: Make) -> None:
    make(tags=[{"key": "a", "value": "b"}])
    make()
    mlflow.post("registered-models/alias", name="churn", alias="champion", version="2")
    send(mlflow, "DELETE", "delete", version="2")
    for version in ("2", "1.0.1"):
        assert mlflow.error("GET", "model-versions/get", name="churn", version=version)[:2] == MISSING
    assert mlflow.error("DELETE", "model-versions/delete", name="churn", version="2")[:2] == MISSING
    model = mlflow.get("registered-models/get", name="churn")["registered_model"]
    assert "aliases" not in model
    assert [one["version"] for one in model["latest_versions"]] == ["1"]
    assert [one["version"] for one in mlflow.get("model-versions/search")["model_versions"]] == ["1"]


def test_update_and_tags(mlflow: Mlflow, make: Make, clock: FrozenClock) -> None:
    make()
    clock.advance(5)
    updated = send(mlflow, "PATCH", "update", version="1.0.0", description="better")["model_version"]
    assert (updated["description"], updated["last_updated_timestamp"]) == ("better", START + 5)
    mlflow.post("model-versions/set-tag", name="churn", version="1", key="k", value="a")
    mlflow.post("model-versions/set-tag", name="churn", version="1.0.0", key="k", value="b" * 90_000)
    assert get(mlflow, "1")["tags"] == [{"key": "k", "value": "b" * 90_000}]
    for _ in range(2):
        assert send(mlflow, "DELETE", "delete-tag", version="1", key="k") == {}
    assert get(mlflow, "1")["tags"] == []


def test_a_semver_does_not_change_by_its_tag(mlflow: Mlflow, make: Make) -> None:
    make()
    error = mlflow.error(
        "POST", "model-versions/set-tag", name="churn", version="1", key="gitlab.version", value="2.0.0"
    )
    assert error[:2] == INVALID
    mlflow.post("model-versions/set-tag", name="churn", version="1", key="gitlab.version", value="1.0.0")


def test_stages(mlflow: Mlflow, make: Make) -> None:
    def move(version: str, stage: str, *, archive: bool = False) -> str:
        fields = {"version": version, "stage": stage, "archive_existing_versions": archive}
        moved: str = send(mlflow, "POST", "transition-stage", **fields)["model_version"]["current_stage"]
        return moved

    for _ in range(3):
        make()
    assert move("1", "production") == "Production"
    assert move("1.0.1", "PRODUCTION") == "Production"
    assert move("3", "Production", archive=True) == "Production"
    assert [get(mlflow, number)["current_stage"] for number in "123"] == ["Archived", "Archived", "Production"]
    assert move("1", "none") == "None"
    for stage, archive in (("Live", False), ("None", True), ("Archived", True)):
        fields = {"name": "churn", "version": "1", "stage": stage, "archive_existing_versions": archive}
        assert mlflow.error("POST", "model-versions/transition-stage", **fields)[:2] == INVALID


def test_another_projects_version_is_not_found(mlflow: Mlflow, make: Make) -> None:
    make()
    other = Mlflow(mlflow.client, project="2")
    for path in ("get", "get-download-uri"):
        assert other.error("GET", f"model-versions/{path}", name="churn", version="1")[:2] == MISSING
    assert other.error("DELETE", "model-versions/delete", name="churn", version="1")[:2] == MISSING
    assert other.get("model-versions/search") == {"model_versions": []}


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "get"),
        ("GET", "get-download-uri"),
        ("PATCH", "update"),
        ("DELETE", "delete"),
        ("POST", "transition-stage"),
        ("POST", "set-tag"),
        ("DELETE", "delete-tag"),
    ],
)
def test_unknown_versions(mlflow: Mlflow, make: Make, method: str, path: str) -> None:
    make()
    fields = {"stage": "Staging", "key": "k", "value": "v"}
    for name, version in (("nothing", "1"), ("churn", "2"), ("churn", "0"), ("churn", "9" * 40), ("churn", "7.0.0")):
        assert mlflow.error(method, f"model-versions/{path}", name=name, version=version, **fields)[:2] == MISSING
    for version in ("", "one", "-1", "1.0", "²", "1.0.0 "):
        assert mlflow.error(method, f"model-versions/{path}", name="churn", version=version, **fields)[:2] == INVALID
    message = mlflow.error(method, f"model-versions/{path}", name="churn", **fields)[2]
    assert "'version'" in message


def test_search(mlflow: Mlflow, make: Make, run_id: str, clock: FrozenClock) -> None:
    def found(**query: Any) -> list[tuple[str, str]]:
        answer = mlflow.get("model-versions/search", **query)
        return [(one["name"], one["version"]) for one in answer.get("model_versions", ())]

    mlflow.post("registered-models/create", name="price")
    make(source=f"runs:/{run_id}/model", run_id=run_id, tags=[{"key": "team", "value": "growth"}])
    clock.advance(1)
    make("price")
    make()
    assert found() == [("churn", "2"), ("price", "1"), ("churn", "1")]
    assert found(filter="name = 'churn'") == [("churn", "2"), ("churn", "1")]
    assert found(filter="name='churn'", order_by="version_number ASC") == [("churn", "1"), ("churn", "2")]
    assert found(filter=f"run_id = '{run_id}'") == [("churn", "1")]
    assert found(filter=f"run_id IN ('{run_id}', 'x')") == [("churn", "1")]
    assert found(filter="version_number > 1") == [("churn", "2")]
    assert found(filter="version_number = '2'") == [("churn", "2")]
    assert found(filter="source_path LIKE 'runs:/%'") == [("churn", "1")]
    assert found(filter="tags.team = 'growth'") == [("churn", "1")]
    assert found(filter="tag.`mlflow.prompt.is_prompt` = 'true'") == []
    assert found(order_by=["name DESC", "creation_timestamp"]) == [("price", "1"), ("churn", "1"), ("churn", "2")]
    first = mlflow.get("model-versions/search", max_results=2)
    assert found(max_results=2, page_token=first["next_page_token"]) == [("churn", "1")]


@pytest.mark.parametrize(
    "query", [{"filter": "stage = 'x'"}, {"filter": "version_number = 'x'"}, {"order_by": "x"}, {"max_results": "0"}]
)
def test_searches_that_cannot_be_understood(mlflow: Mlflow, query: dict[str, str]) -> None:
    assert mlflow.error("GET", "model-versions/search", **query)[:2] == INVALID


@pytest.mark.parametrize("body", ["{", "[]", '{"name": "churn", "tags": [{}]}', '{"name": "churn", "source": 7}'])
def test_malformed_bodies(mlflow: Mlflow, make: Make, body: str) -> None:
    sent = mlflow.call("POST", "api/2.0/mlflow/model-versions/create", data=body, content_type="application/json")
    assert failure(sent)[:2] == INVALID


def test_a_model_that_is_not_there_has_no_versions(mlflow: Mlflow) -> None:
    assert mlflow.error("POST", "model-versions/create", name="nothing")[:2] == MISSING


def test_versions_made_at_once_share_neither_number_nor_semver(app: Flask, make: Make) -> None:
    def one(_: int) -> tuple[str, str]:
        made = Mlflow(app.test_client()).post("model-versions/create", name="churn")["model_version"]
        return made["version"], made["aliases"][0]

    with ThreadPoolExecutor(4) as pool:
        made = set(pool.map(one, range(12)))
    assert made == {(str(number + 1), f"1.0.{number}") for number in range(12)}


def test_a_promotion_creates_its_version_in_its_own_transaction(deps: Deps, mlflow: Mlflow, run_id: str) -> None:
    scope = Scope(deps, Actor(TokenKind.LOCAL, ProjectId(1), "1", "bot", Access.WRITE))
    mlflow.post("registered-models/create", name="churn")

    def promote(semver: str) -> int:
        location = f"0/{run_id}/artifacts/model"
        new = NewVersion(semver, 1, None, f"runs:/{run_id}/model", location, None, None, "bot", promoted=True)
        with scope.project.write() as tx:
            return versions.create_promoted(tx, 1, "churn", new)

    assert promote("1.0.0") == 1
    assert promote("1.1.0") == 2
    with pytest.raises(MltrailError) as caught:
        promote("1.0.0")
    assert caught.value.code is Code.ALREADY_EXISTS
    assert promote("1.0.7") == 3
    assert (get(mlflow, "3")["run_id"], get(mlflow, "3")["user_id"]) == (run_id, "bot")
    with deps.project(ProjectId(1)).read() as tx:
        highest = store.highest(tx, 1)
    assert highest is not None
    assert highest.semver == "1.1.0"
