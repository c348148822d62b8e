"""Registered models: https://mlflow.org/docs/latest/api_reference/rest-api.html#create-registeredmodel."""

from typing import Any

import pytest

from mltrail_server.domain.errors import MltrailError
from mltrail_server.domain.identity import Access, Actor, TokenKind
from mltrail_server.domain.ids import ProjectId
from mltrail_server.services.context.deps import Deps, Scope
from mltrail_server.services.registry import aliases
from mltrail_server.store.registry.aliases import AliasMove
from tests.clock import START, FrozenClock
from tests.mlflow_client import INVALID, MISSING, TAKEN, Mlflow, failure, good


class Registry:
    """Calls of the registry with the methods that its clients use."""

    def __init__(self, mlflow: Mlflow) -> None:
        self.mlflow = mlflow

    def model(self, name: str = "churn", **fields: Any) -> Any:
        return self.mlflow.post("registered-models/create", name=name, **fields)["registered_model"]

    def version(self, name: str = "churn", **fields: Any) -> Any:
        return self.mlflow.post("model-versions/create", name=name, **fields)["model_version"]

    def alias(self, alias: str, version: str, name: str = "churn") -> None:
        self.mlflow.post("registered-models/alias", name=name, alias=alias, version=version)

    def send(self, method: str, path: str, **fields: Any) -> Any:
        return good(self.mlflow.call(method, f"api/2.0/mlflow/{path}", json=fields))

    def get(self, name: str = "churn") -> Any:
        return self.mlflow.get("registered-models/get", name=name)["registered_model"]

    def found(self, **query: Any) -> list[str]:
        answer = self.mlflow.get("registered-models/search", **query)
        return [model["name"] for model in answer.get("registered_models", ())]


@pytest.fixture
def registry(mlflow: Mlflow) -> Registry:
    return Registry(mlflow)


@pytest.fixture
def scope(deps: Deps) -> Scope:
    return Scope(deps, Actor(TokenKind.LOCAL, ProjectId(1), "1", "local", Access.WRITE))


def test_create_and_get(registry: Registry) -> None:
    made = registry.model(description="who leaves", tags=[{"key": "team", "value": "growth"}], deployment_job_id="7")
    assert made == {
        "name": "churn",
        "creation_timestamp": START,
        "last_updated_timestamp": START,
        "user_id": "local",
        "description": "who leaves",
        "tags": [{"key": "team", "value": "growth"}],
    }
    assert registry.get() == made


def test_names_are_unique_in_a_project_only(registry: Registry) -> None:
    registry.model()
    assert registry.mlflow.error("POST", "registered-models/create", name="churn")[:2] == TAKEN
    other = Registry(Mlflow(registry.mlflow.client, project="2"))
    assert other.mlflow.error("GET", "registered-models/get", name="churn")[:2] == MISSING
    assert other.found() == []
    other.model()


@pytest.mark.parametrize("name", ["", "  ", "a/b", "a:b", "x" * 257])
def test_names_that_a_model_uri_could_not_hold_are_refused(mlflow: Mlflow, name: str) -> None:
    assert mlflow.error("POST", "registered-models/create", name=name)[:2] == INVALID


def test_rename_keeps_versions_and_takes_no_taken_name(registry: Registry, clock: FrozenClock) -> None:
    registry.model()
    registry.model("other")
    registry.version()
    clock.advance(5)
    taken = registry.mlflow.error("POST", "registered-models/rename", name="churn", new_name="other")
    assert taken[:2] == TAKEN
    renamed = registry.mlflow.post("registered-models/rename", name="churn", new_name="leavers")["registered_model"]
    assert (renamed["name"], renamed["last_updated_timestamp"]) == ("leavers", START + 5)
    assert renamed["latest_versions"][0]["name"] == "leavers"
    assert registry.mlflow.error("GET", "registered-models/get", name="churn")[:2] == MISSING


def test_update_and_tags(registry: Registry) -> None:
    registry.model()
    updated = registry.send("PATCH", "registered-models/update", name="churn", description="better")
    assert updated["registered_model"]["description"] == "better"
    registry.mlflow.post("registered-models/set-tag", name="churn", key="team", value="a")
    registry.mlflow.post("registered-models/set-tag", name="churn", key="team", value="b")
    assert registry.get()["tags"] == [{"key": "team", "value": "b"}]
    registry.send("DELETE", "registered-models/delete-tag", name="churn", key="team")
    assert registry.send("DELETE", "registered-models/delete-tag", name="churn", key="team") == {}
    assert registry.get()["tags"] == []


def test_deleting_a_model_frees_name_and_numbering(registry: Registry) -> None:
    registry.model()
    registry.version()
    registry.version()
    registry.alias("champion", "2")
    registry.send("DELETE", "registered-models/delete", name="churn")
    assert registry.mlflow.error("GET", "registered-models/get", name="churn")[:2] == MISSING
    assert "aliases" not in registry.model()
    made = registry.version()
    assert (made["version"], made["aliases"]) == ("1", ["1.0.0"])


def test_an_alias_moves_and_leaves_its_history(registry: Registry, scope: Scope, clock: FrozenClock) -> None:
    registry.model()
    registry.version()
    registry.version(tags=[{"key": "gitlab.version", "value": "2.0.0"}])
    registry.alias("champion", "1")
    registry.alias("champion", "1")
    clock.advance(5)
    registry.alias("champion", "2.0.0")
    assert registry.get()["aliases"] == [{"alias": "champion", "version": "2"}]
    version = registry.mlflow.get("registered-models/alias", name="churn", alias="champion")["model_version"]
    assert (version["version"], version["aliases"]) == ("2", ["champion", "2.0.0"])
    registry.send("DELETE", "registered-models/alias", name="churn", alias="champion")
    assert registry.send("DELETE", "registered-models/alias", name="churn", alias="champion") == {}
    assert aliases.history(scope, "churn").moves == [
        AliasMove("champion", 2, None, START + 5, "local", None),
        AliasMove("champion", 1, 2, START + 5, "local", None),
        AliasMove("champion", None, 1, START, "local", None),
    ]


def test_an_alias_is_compared_and_swapped(registry: Registry, scope: Scope) -> None:
    registry.model()
    registry.version()
    registry.version()
    with scope.project.write() as tx:
        assert aliases.move(tx, scope, 1, "champion", 1, expected_from=None, pipeline_id=99) is None
        assert aliases.move(tx, scope, 1, "champion", 2, expected_from=1, pipeline_id=100) == 1
    with (
        pytest.raises(MltrailError, match="points at version 2, not at version 1"),
        scope.project.write() as tx,
    ):
        aliases.move(tx, scope, 1, "champion", 1, expected_from=1)
    assert [move.pipeline_id for move in aliases.history(scope, "churn").moves] == [100, 99]


def test_alias_of_nothing(registry: Registry) -> None:
    registry.model()
    get = ("GET", "registered-models/alias")
    assert registry.mlflow.error(*get, name="churn", alias="latest")[:2] == MISSING
    registry.version()
    assert registry.mlflow.error(*get, name="churn", alias="champion")[:2] == INVALID
    assert registry.mlflow.error(*get, name="churn", alias="9.9.9")[:2] == MISSING
    assert registry.mlflow.error(*get, name="nothing", alias="champion")[:2] == MISSING
    for alias in ("latest", "Latest", "1.0.0"):
        answer = registry.mlflow.get("registered-models/alias", name="churn", alias=alias)
        assert answer["model_version"]["version"] == "1"
    put = ("POST", "registered-models/alias")
    assert registry.mlflow.error(*put, name="churn", alias="champion", version="7")[:2] == MISSING
    assert registry.mlflow.error(*put, name="nothing", alias="champion", version="1")[:2] == MISSING
    assert registry.mlflow.error(*put, name="churn", alias="champion", version="newest")[:2] == INVALID


@pytest.mark.parametrize("alias", ["latest", "LATEST", "v1", "V22", "", "a b", "a.b", "a/b", "a@b", "x" * 256, "ok\n"])
def test_reserved_and_odd_aliases_are_refused(registry: Registry, alias: str) -> None:
    registry.model()
    registry.version()
    error = registry.mlflow.error("POST", "registered-models/alias", name="churn", alias=alias, version="1")
    assert error[:2] == INVALID


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_latest_versions_by_stage_number_or_semver(registry: Registry, method: str) -> None:
    def latest(*stages: str) -> list[str]:
        if method == "GET":
            answer = registry.mlflow.get("registered-models/get-latest-versions", name="churn", stages=list(stages))
        else:
            answer = registry.mlflow.post("registered-models/get-latest-versions", name="churn", stages=list(stages))
        return [version["version"] for version in answer.get("model_versions", ())]

    registry.model()
    assert latest() == []
    for _ in range(3):
        registry.version()
    registry.mlflow.post("model-versions/transition-stage", name="churn", version="1", stage="production")
    assert latest() == ["3", "1"]
    assert [one["version"] for one in registry.get()["latest_versions"]] == ["3", "1", "2"]
    searched = registry.mlflow.get("registered-models/search")["registered_models"][0]
    assert [one["version"] for one in searched["latest_versions"]] == ["3", "1"]
    assert latest("Production") == ["1"]
    assert latest("none") == ["3"]
    assert latest("Staging") == []
    assert latest("1.0.1") == ["2"]
    assert latest("2", "PRODUCTION") == ["1", "2"]


@pytest.mark.parametrize(
    ("made", "highest"),
    [
        (["1.0.0", "2.0.0", "1.0.1"], "2.0.0"),
        (["10.0.0", "9.0.0"], "10.0.0"),
        (["1.0.0", "1.0.0-rc.1"], "1.0.0"),
        (["1.0.0", "2.0.0-rc.1", "1.5.0"], "2.0.0-rc.1"),
        (["2.0.0-rc.2", "2.0.0-rc.10", "2.0.0-rc.9"], "2.0.0-rc.10"),
        (["1.0.0+a", "1.0.0+b"], "1.0.0+b"),
    ],
)
def test_the_latest_version_has_the_highest_semver(registry: Registry, made: list[str], highest: str) -> None:
    """As GitLab's `get_latest_versions` and `models:/churn@latest`; of equal ones the newer."""
    registry.model()
    for semver in made:
        registry.mlflow.post("model-versions/create", name="churn", tags=[{"key": "gitlab.version", "value": semver}])
    latest = registry.mlflow.post("registered-models/get-latest-versions", name="churn")["model_versions"]
    assert [highest in one["aliases"] for one in latest] == [True]
    by_alias = registry.mlflow.get("registered-models/alias", name="churn", alias="latest")["model_version"]
    assert by_alias == latest[0] == registry.get()["latest_versions"][0]
    assert len(registry.get()["latest_versions"]) == len(made)


def test_latest_versions_of_what_is_not_there(registry: Registry) -> None:
    path = "registered-models/get-latest-versions"
    assert registry.mlflow.error("GET", path, name="churn")[:2] == MISSING
    registry.model()
    assert registry.mlflow.error("POST", path, name="churn", stages=["3.0.0"])[:2] == MISSING
    status, code, message = registry.mlflow.error("POST", path, name="churn", stages=["Prod"])
    assert (status, code) == INVALID
    assert "None, Staging, Production, Archived" in message


def test_search_filters_and_orders(registry: Registry, clock: FrozenClock) -> None:
    for name, team in (("churn", "growth"), ("Churn-2", "growth"), ("price", "sales")):
        registry.model(name, tags=[{"key": "team", "value": team}])
        clock.advance(1)
    assert registry.found() == ["Churn-2", "churn", "price"]
    assert registry.found(filter="name = 'churn'") == ["churn"]
    assert registry.found(filter='name="churn"') == ["churn"]
    assert registry.found(filter="name LIKE 'ch%'") == ["churn"]
    assert registry.found(filter="name ILIKE 'ch%'") == ["Churn-2", "churn"]
    assert registry.found(filter="tags.team = 'growth' AND name != 'churn'") == ["Churn-2"]
    assert registry.found(filter="tag.`team` LIKE 's%'") == ["price"]
    assert registry.found(filter="tags.nothing = 'x'") == []
    assert registry.found(order_by="name DESC") == ["price", "churn", "Churn-2"]
    assert registry.found(order_by=["last_updated_timestamp DESC"]) == ["price", "Churn-2", "churn"]
    assert registry.found(order_by="timestamp") == ["churn", "Churn-2", "price"]


def test_search_leaves_out_prompts_unless_they_are_asked_for(registry: Registry) -> None:
    registry.model()
    registry.model("greeting", tags=[{"key": "mlflow.prompt.is_prompt", "value": "true"}])
    registry.model("plain", tags=[{"key": "mlflow.prompt.is_prompt", "value": "false"}])
    assert registry.found() == ["churn", "plain"]
    assert registry.found(filter="tag.`mlflow.prompt.is_prompt` != 'true'") == ["churn", "plain"]
    assert registry.found(filter="name = 'churn' AND tag.`mlflow.prompt.is_prompt` != 'true'") == ["churn"]
    assert registry.found(filter="tag.`mlflow.prompt.is_prompt` = 'true'") == ["greeting"]


def test_search_pages(registry: Registry) -> None:
    for number in range(5):
        registry.model(f"m{number}")
    names: list[str] = []
    token = ""
    while True:
        answer = registry.mlflow.get("registered-models/search", max_results=2, page_token=token, order_by="name DESC")
        names += [model["name"] for model in answer["registered_models"]]
        if not (token := answer.get("next_page_token", "")):
            break
    assert names == ["m4", "m3", "m2", "m1", "m0"]


@pytest.mark.parametrize(
    "query",
    [
        {"filter": "name == 'x'"},
        {"filter": "metrics.loss < 1"},
        {"filter": "description = 'x'"},
        {"filter": "name = 1"},
        {"filter": "name = 'x' OR name = 'y'"},
        {"order_by": "tags.x"},
        {"order_by": "description"},
        {"max_results": "0"},
        {"max_results": "1001"},
        {"max_results": "many"},
        {"page_token": "nonsense"},
    ],
)
def test_searches_that_cannot_be_understood(mlflow: Mlflow, query: dict[str, str]) -> None:
    status, code, message = mlflow.error("GET", "registered-models/search", **query)
    assert (status, code) == INVALID
    assert message


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "registered-models/get"),
        ("POST", "registered-models/rename"),
        ("PATCH", "registered-models/update"),
        ("DELETE", "registered-models/delete"),
        ("POST", "registered-models/set-tag"),
        ("DELETE", "registered-models/delete-tag"),
        ("DELETE", "registered-models/alias"),
    ],
)
def test_unknown_models_and_missing_fields(mlflow: Mlflow, method: str, path: str) -> None:
    fields = {"name": "nothing", "new_name": "x", "key": "k", "value": "v", "alias": "a"}
    assert mlflow.error(method, path, **fields)[:2] == MISSING
    status, code, message = mlflow.error(method, path)
    assert (status, code) == INVALID
    assert "'name'" in message


@pytest.mark.parametrize("body", ["", "[]", "{", '"x"', '{"name": [7]}', '{"name": "m", "tags": {}}', '{"name": null}'])
def test_malformed_bodies(mlflow: Mlflow, body: str) -> None:
    path = "api/2.0/mlflow/registered-models/create"
    sent = mlflow.call("POST", path, data=body, content_type="application/json")
    assert failure(sent)[:2] == INVALID


def test_so_many_stages_are_no_question(mlflow: Mlflow) -> None:
    """Each may name a version, which is looked for by itself."""
    mlflow.post("registered-models/create", name="churn")
    mlflow.post("model-versions/create", name="churn")
    asked = {"name": "churn", "stages": ["1"] * 101}
    status, _, message = mlflow.error("POST", "registered-models/get-latest-versions", **asked)
    assert (status, "at most 100" in message) == (400, True)
