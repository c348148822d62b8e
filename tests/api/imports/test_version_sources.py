"""Where the files of a version are once it is imported.

https://mlflow.org/docs/latest/ml/model-registry/workflow/
"""

from dataclasses import replace

import sqlalchemy as sa

from mltrail_server.services.context.deps import Deps
from mltrail_server.store import schema
from tests.api.imports.conftest import Bring
from tests.fakes.history import BEGAN, FakeSource, eid
from tests.mlflow_client import Mlflow


def runs_here(deps: Deps) -> list[str]:
    with deps.db.read() as connection:
        run = schema.candidate
        return sorted(connection.execute(sa.select(run.c.eid).where(run.c.project_id == 1)).scalars())


def test_files_of_a_version_have_one_run_however_the_server_is_read(
    bring: Bring, source: FakeSource, deps: Deps
) -> None:
    bring(source)
    before = runs_here(deps)
    source.address = "sqlite:///mlflow.db"
    source.listed_versions = [replace(one, description="changed since") for one in source.listed_versions]
    report = bring(source)
    assert report.clean
    assert runs_here(deps) == before


def test_a_folder_without_files_means_the_logged_model_of_its_name(
    bring: Bring, source: FakeSource, mlflow: Mlflow
) -> None:
    """MLflow 3 keeps what `log_model(name="forest")` logs outside the run."""
    folder = source.listed_runs[1].artifact_uri
    for number, uri in ((10, f"runs:/{eid(1)}/forest"), (11, f"{folder}/forest"), (12, f"{folder}/model")):
        changed = replace(source.listed_versions[0], number=number, source=uri, created_ms=BEGAN + number)
        source.listed_versions.append(changed)
    bring(source)
    models = [
        mlflow.get("model-versions/get", name="churn", version=str(number))["model_version"].get("model_id")
        for number in (10, 11, 12)
    ]
    assert models == ["m-" + eid(90), "m-" + eid(90), None]


def test_a_model_that_goes_on_at_the_source_was_changed_then(bring: Bring, source: FakeSource, mlflow: Mlflow) -> None:
    bring(source)
    for later in (900, 50):
        source.listed_models = [replace(one, updated_ms=BEGAN + later) for one in source.listed_models]
        bring(source)
        model = mlflow.get("registered-models/get", name="churn")["registered_model"]
        assert model["last_updated_timestamp"] == BEGAN + 900
