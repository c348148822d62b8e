"""https://mlflow.org/docs/latest/ml/model-registry/: models logged, registered, found and loaded."""

import json

import mlflow
import numpy as np
import pandas as pd
from checks.registry import VERSION, Desk, check, refused
from sklearn.linear_model import LogisticRegression

X = pd.DataFrame({"x": [0.0, 1.0, 2.0, 3.0]})
Y = np.array([0, 0, 1, 1])


def trained() -> LogisticRegression:
    return LogisticRegression().fit(X, Y)


def log(model: LogisticRegression, **more: object) -> object:
    named = {"name": "model"} if VERSION >= (3, 0) else {"artifact_path": "model"}
    # Without a list MLflow finds out what the model needs, for seconds, by loading it elsewhere.
    return mlflow.sklearn.log_model(model, **named, pip_requirements=["scikit-learn"], **more)


def registered(desk: Desk) -> tuple[str, str]:
    """Train, log and register; answer the model's name and the run."""
    name = desk.name("model")
    with mlflow.start_run() as run:
        log(trained(), registered_model_name=name)
    return name, run.info.run_id


def predicts(uri: str) -> None:
    assert list(mlflow.pyfunc.load_model(uri).predict(X)) == list(trained().predict(X)), uri


def semver_of(desk: Desk, name: str, version: str) -> str:
    return next(alias for alias in desk.client.get_model_version(name, version).aliases if alias.count(".") == 2)


@check()
def log_and_load_by_run(desk: Desk) -> None:
    with mlflow.start_run() as run:
        log(trained())
    predicts(f"runs:/{run.info.run_id}/model")
    assert mlflow.sklearn.load_model(f"runs:/{run.info.run_id}/model").coef_.shape == (1, 1)


@check()
def log_registered_and_load_by_number(desk: Desk) -> None:
    name, run_id = registered(desk)
    (version,) = desk.client.search_model_versions(f"name='{name}'")
    assert (version.version, version.run_id, version.status) in (("1", run_id, "READY"), (1, run_id, "READY"))
    predicts(f"models:/{name}/1")
    predicts(f"models:/{name}/latest")


@check()
def load_by_semantic_version(desk: Desk) -> None:
    name, run_id = registered(desk)
    source = desk.client.get_model_version(name, "1").source
    tags = {"gitlab.version": "1.4.0"}
    made = desk.client.create_model_version(name, source, run_id, tags=tags)
    desk.client.create_model_version(name, "", run_id)
    assert desk.client.get_model_version(name, "1.4.0").version == made.version
    predicts(f"models:/{name}/1.4.0")
    refused("RESOURCE_DOES_NOT_EXIST", lambda: mlflow.pyfunc.load_model(f"models:/{name}/9.9.9"))


@check(since=(2, 3))
def numbers_and_semantic_versions_count_by_themselves(desk: Desk) -> None:
    name, _ = registered(desk)
    assert semver_of(desk, name, "1") == "1.0.0"
    desk.client.create_model_version(name, "", tags={"gitlab.version": "2.3.4"})
    made = desk.client.create_model_version(name, "")
    assert semver_of(desk, name, str(made.version)) == "2.3.5"


@check()
def register_a_run_afterwards(desk: Desk) -> None:
    with mlflow.start_run() as run:
        log(trained())
    name = desk.name("model")
    made = mlflow.register_model(f"runs:/{run.info.run_id}/model", name)
    again = mlflow.register_model(f"runs:/{run.info.run_id}/model", name)
    assert (int(made.version), int(again.version)) == (1, 2)
    predicts(f"models:/{name}/2")


@check()
def models_by_name(desk: Desk) -> None:
    name = desk.name("model")
    desk.client.create_registered_model(name, tags={"team": "churn"}, description="first")
    refused("RESOURCE_ALREADY_EXISTS", lambda: desk.client.create_registered_model(name))
    desk.client.update_registered_model(name, "second")
    desk.client.set_registered_model_tag(name, "stage", "eval")
    desk.client.delete_registered_model_tag(name, "team")
    got = desk.client.get_registered_model(name)
    assert (got.description, got.tags) == ("second", {"stage": "eval"})
    new_name = desk.name("model")
    desk.client.rename_registered_model(name, new_name)
    assert [one.name for one in desk.client.search_registered_models(f"name='{new_name}'")] == [new_name]
    assert list(desk.client.search_registered_models(f"name LIKE '{new_name[:-2]}%'"))
    desk.client.delete_registered_model(new_name)
    refused("RESOURCE_DOES_NOT_EXIST", lambda: desk.client.get_registered_model(new_name))


@check()
def search_without_a_filter(desk: Desk) -> None:
    name, _ = registered(desk)
    assert name in [one.name for one in desk.client.search_registered_models()]
    assert name in [one.name for one in desk.client.search_model_versions("name != 'x'")] or VERSION < (2, 0)


@check()
def versions_by_number(desk: Desk) -> None:
    name, run_id = registered(desk)
    desk.client.update_model_version(name, "1", "good one")
    desk.client.set_model_version_tag(name, "1", "validated", "yes")
    got = desk.client.get_model_version(name, "1")
    assert (got.description, got.tags["validated"]) == ("good one", "yes")
    desk.client.delete_model_version_tag(name, "1", "validated")
    assert "validated" not in desk.client.get_model_version(name, "1").tags
    assert [one.run_id for one in desk.client.search_model_versions(f"run_id='{run_id}'")] == [run_id]
    assert desk.client.get_model_version_download_uri(name, "1").startswith("mlflow-artifacts:")
    desk.client.delete_model_version(name, "1")
    refused("RESOURCE_DOES_NOT_EXIST", lambda: desk.client.get_model_version(name, "1"))


@check()
def stages(desk: Desk) -> None:
    name, run_id = registered(desk)
    desk.client.create_model_version(name, desk.client.get_model_version(name, "1").source, run_id)
    desk.client.transition_model_version_stage(name, "1", "Production")
    desk.client.transition_model_version_stage(name, "2", "Production", archive_existing_versions=True)
    assert desk.client.get_model_version(name, "1").current_stage == "Archived"
    latest = desk.client.get_latest_versions(name, stages=["Production"])
    assert [int(one.version) for one in latest] == [2]
    predicts(f"models:/{name}/Production")


@check(since=(2, 3))
def aliases(desk: Desk) -> None:
    name, _ = registered(desk)
    desk.client.set_registered_model_alias(name, "champion", "1")
    assert int(desk.client.get_model_version_by_alias(name, "champion").version) == 1
    assert "champion" in desk.client.get_model_version(name, "1").aliases
    predicts(f"models:/{name}@champion")
    desk.client.delete_registered_model_alias(name, "champion")
    refused("INVALID_PARAMETER_VALUE", lambda: desk.client.get_model_version_by_alias(name, "champion"))


@check(since=(2, 8))
def copy_a_version(desk: Desk) -> None:
    name, _ = registered(desk)
    copied = desk.client.copy_model_version(f"models:/{name}/1", desk.name("prod"))
    predicts(f"models:/{copied.name}/{copied.version}")


@check()
def a_version_without_a_run_is_one(desk: Desk) -> None:
    name = desk.name("model")
    desk.client.create_registered_model(name)
    version = desk.client.create_model_version(name, "")
    desk.client.log_metric(version.run_id, "accuracy", 0.9)
    desk.client.log_param(version.run_id, "lr", "0.1")
    desk.client.log_artifact(version.run_id, str(desk.file("weights.bin")))
    run = desk.client.get_run(version.run_id)
    experiment = desk.client.get_experiment_by_name(f"[model]{name}")
    assert (run.data.metrics, run.info.experiment_id) == ({"accuracy": 0.9}, experiment.experiment_id)
    assert [one.path for one in desk.client.list_artifacts(version.run_id)] == ["weights.bin"]


@check(since=(3, 0))
def logged_models(desk: Desk) -> None:
    with mlflow.start_run() as run:
        info = log(trained(), params={"depth": 3})
        mlflow.log_metric("accuracy", 0.9, model_id=info.model_id)
    predicts(f"models:/{info.model_id}")
    got = mlflow.get_logged_model(info.model_id)
    assert (got.status.value, got.source_run_id, got.params["depth"]) == ("READY", run.info.run_id, "3")
    assert [(one.key, one.value) for one in got.metrics] == [("accuracy", 0.9)]
    mlflow.set_logged_model_tags(info.model_id, {"stage": "eval"})
    found = mlflow.search_logged_models(
        [desk.experiment_id], "metrics.accuracy > 0.5 AND tags.stage = 'eval'", output_format="list"
    )
    assert [one.model_id for one in found] == [info.model_id]
    desk.client.delete_logged_model_tag(info.model_id, "stage")
    outputs = desk.client.get_run(run.info.run_id).outputs.model_outputs
    assert [one.model_id for one in outputs] == [info.model_id]


@check(since=(3, 0))
def a_model_from_elsewhere(desk: Desk) -> None:
    made = mlflow.initialize_logged_model(name="agent", params={"temperature": "0"})
    assert made.status.value == "PENDING"
    mlflow.finalize_logged_model(made.model_id, "READY")
    assert mlflow.get_logged_model(made.model_id).status.value == "READY"
    desk.client.delete_logged_model(made.model_id)
    refused("RESOURCE_DOES_NOT_EXIST", lambda: mlflow.get_logged_model(made.model_id))


@check(since=(3, 0))
def prompts(desk: Desk) -> None:
    name = desk.name("prompt")
    mlflow.genai.register_prompt(name, "Hello {{name}}")
    assert mlflow.genai.load_prompt(f"prompts:/{name}/1").template == "Hello {{name}}"
    assert name not in [one.name for one in desk.client.search_registered_models()]


@check(before=(2, 0))
def list_of_old_clients(desk: Desk) -> None:
    name, _ = registered(desk)
    assert name in [one.name for one in desk.client.list_registered_models()]


@check(since=(3, 0))
def odd_numbers_of_a_logged_model(desk: Desk) -> None:
    largest = 1.7976931348623157e308
    model = mlflow.create_external_model(name="odd")
    with mlflow.start_run():
        for key, value in {"up": float("inf"), "down": float("-inf"), "none": float("nan"), "one": 1.5}.items():
            mlflow.log_metric(key, value, model_id=model.model_id)
    for found in (
        mlflow.get_logged_model(model.model_id),
        mlflow.search_logged_models(experiment_ids=[model.experiment_id], output_format="list")[0],
    ):
        read = {metric.key: metric.value for metric in found.metrics}
        assert np.isnan(read.pop("none"))
        assert read == {"up": largest, "down": -largest, "one": 1.5}


@check(since=(3, 0))
def a_logged_model_knows_its_versions(desk: Desk) -> None:
    name = desk.name("model")
    model = mlflow.create_external_model(name="made")
    desk.client.create_registered_model(name)
    for number in (1, 2):
        version = desk.client.create_model_version(name, model.artifact_location, model_id=model.model_id)
        assert (version.description, version.version) == ("", str(number))
    versions = json.loads(mlflow.get_logged_model(model.model_id).tags["mlflow.modelVersions"])
    assert versions == [{"name": name, "version": 1}, {"name": name, "version": 2}]


@check()
def versions_of_places_elsewhere(desk: Desk) -> None:
    name = desk.name("model")
    desk.client.create_registered_model(name)
    for number, source in enumerate(("s3://bucket/model", "gs://bucket/model", "hf://owner/model"), start=1):
        made = desk.client.create_model_version(name, source)
        assert (made.source, str(made.version)) == (source, str(number))
        assert desk.client.get_model_version_download_uri(name, str(number)) == source
