"""https://mlflow.org/docs/latest/ml/tracking/tracking-api/ on experiments."""

import mlflow
from checks.registry import Desk, check, refused
from mlflow.entities import ViewType


@check()
def create_and_get(desk: Desk) -> None:
    name = desk.name()
    made = desk.client.create_experiment(name, tags={"team": "churn"})
    got = desk.client.get_experiment(made)
    assert (got.name, got.tags, got.lifecycle_stage) == (name, {"team": "churn"}, "active")
    assert desk.client.get_experiment_by_name(name).experiment_id == made
    assert mlflow.get_experiment_by_name(name).experiment_id == made
    assert got.artifact_location


@check()
def a_name_that_is_not_there_is_none(desk: Desk) -> None:
    assert desk.client.get_experiment_by_name(desk.name()) is None
    refused("RESOURCE_DOES_NOT_EXIST", lambda: desk.client.get_experiment("987654"))


@check()
def a_taken_name(desk: Desk) -> None:
    name = desk.name()
    desk.client.create_experiment(name)
    refused("RESOURCE_ALREADY_EXISTS", lambda: desk.client.create_experiment(name))


@check()
def set_experiment_makes_it_and_finds_it(desk: Desk) -> None:
    name = desk.name()
    made = mlflow.set_experiment(name)
    assert mlflow.set_experiment(name).experiment_id == made.experiment_id
    with mlflow.start_run() as run:
        assert run.info.experiment_id == made.experiment_id


@check()
def rename_delete_restore(desk: Desk) -> None:
    made = desk.client.create_experiment(desk.name())
    new_name = desk.name()
    desk.client.rename_experiment(made, new_name)
    assert desk.client.get_experiment(made).name == new_name
    desk.client.delete_experiment(made)
    assert desk.client.get_experiment(made).lifecycle_stage == "deleted"
    desk.client.restore_experiment(made)
    assert desk.client.get_experiment(made).lifecycle_stage == "active"


@check()
def tags(desk: Desk) -> None:
    desk.client.set_experiment_tag(desk.experiment_id, "stage", "eval")
    desk.client.set_experiment_tag(desk.experiment_id, "stage", "prod")
    assert desk.client.get_experiment(desk.experiment_id).tags["stage"] == "prod"


@check(since=(3, 4))
def delete_a_tag(desk: Desk) -> None:
    desk.client.set_experiment_tag(desk.experiment_id, "stage", "eval")
    desk.client.delete_experiment_tag(desk.experiment_id, "stage")
    assert "stage" not in desk.client.get_experiment(desk.experiment_id).tags


@check()
def search_filter_order_and_pages(desk: Desk) -> None:
    word = desk.name("find")
    made = [desk.client.create_experiment(f"{word}-{number}", tags={"kind": word}) for number in range(5)]
    desk.client.delete_experiment(made[4])
    text = f"tags.kind = '{word}'"
    found = mlflow.search_experiments(filter_string=text, order_by=["name DESC"])
    assert [one.experiment_id for one in found] == made[3::-1]
    page = desk.client.search_experiments(filter_string=f"name LIKE '{word}%'", max_results=3)
    rest = desk.client.search_experiments(filter_string=f"name LIKE '{word}%'", max_results=3, page_token=page.token)
    assert sorted(one.experiment_id for one in [*page, *rest]) == sorted(made[:4])
    deleted = desk.client.search_experiments(view_type=ViewType.DELETED_ONLY, filter_string=text)
    assert [one.experiment_id for one in deleted] == [made[4]]


@check(before=(2, 0))
def list_experiments_of_old_clients(desk: Desk) -> None:
    assert desk.experiment_id in [one.experiment_id for one in desk.client.list_experiments()]
