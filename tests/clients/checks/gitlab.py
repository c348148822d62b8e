"""GitLab's own client, gitlab-mlops: https://pypi.org/project/gitlab-mlops/."""

import os

from checks.registry import Desk, check
from gitlab_mlops import Client


def client() -> Client:
    return Client(os.environ["MLFLOW_TRACKING_URI"], os.environ["MLFLOW_TRACKING_TOKEN"])


@check()
def experiment_and_run(desk: Desk) -> None:
    name = desk.name()
    client().create_experiment(name, tags={"a": "b"})
    experiment = client().get_experiment(name)
    run = experiment.create_run()
    run.log_param("lr", "0.1")
    run.log_metric("accuracy", 0.9, 1_700_000_000_000, 0)
    run.log_artifact(str(desk.file("a.txt")), "")
    run.log_text("hello", "b.txt")
    got = client().get_run(run.id)
    assert got.get_params()
    assert got.get_metrics()


@check()
def model_and_versions(desk: Desk) -> None:
    name = desk.name("model")
    gitlab = client()
    assert gitlab.get_model(name) is None
    gitlab.create_model(name, "a model")
    model = gitlab.get_model(name)
    assert model.get_latest_version() is None
    first = model.create_version(description="first", version="1.0.0")
    first.log_metric("accuracy", 0.9)
    first.log_param("lr", "0.1")
    desk.file("files/deep/weights.bin")
    first.log_artifacts(str(desk.folder / "files"))
    model.create_version(description="second")
    assert model.get_latest_version().version == "1.0.1"
    model.create_version(version="3.0.0")
    model.create_version(version="2.9.9")
    assert model.get_latest_version().version == "3.0.0", "the highest, not the one made last"
    assert gitlab.get_model_version(name, "1.0.0") is not None
    assert model.get_experiment() is not None


@check()
def a_run_becomes_a_version(desk: Desk) -> None:
    gitlab = client()
    name = desk.name("model")
    gitlab.create_model(name, "")
    version = gitlab.get_model(name).create_version(version="3.1.4", run_id=desk.run())
    assert version.version == "3.1.4"
