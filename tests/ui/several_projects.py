"""Projects beside the team's own, and people who may see some of them."""

from flask.testing import FlaskClient

from tests.fakes.gitlab import Project
from tests.mlflow_client import Mlflow
from tests.team import EXTERNAL_URL, Team
from tests.ui.browsing import sign_in


def a_project(team: Team, path: str, number: int, **levels: int) -> Project:
    """Add a project to GitLab, with the levels of its members."""
    project = team.gitlab.add_project(path, id=number)
    for name, level in {"owner": 50, **levels}.items():
        team.gitlab.add_member(project, team.users[name], level)
    return project


def owner_of(team: Team, client: FlaskClient, project: int) -> Mlflow:
    return Mlflow(client, project=str(project), token=team.tokens["owner"])


def fill(mlflow: Mlflow, *, experiment: str, runs: tuple[str, ...] = (), models: tuple[str, ...] = ()) -> list[str]:
    """Add an experiment with runs that are running, and models; return the runs' ids."""
    made = []
    number = mlflow.post("experiments/create", name=experiment)["experiment_id"]
    for name in runs:
        run = mlflow.post("runs/create", experiment_id=number, run_name=name)["run"]["info"]
        made.append(str(run["run_id"]))
    for name in models:
        mlflow.post("registered-models/create", name=name)
    return made


def add_version(mlflow: Mlflow, model: str) -> None:
    """Register another version of a model, from a run of its own."""
    run = mlflow.post("runs/create", experiment_id="0", run_name="a source")["run"]["info"]["run_id"]
    mlflow.post("model-versions/create", name=model, source=f"runs:/{run}/model", run_id=run)


def enter(client: FlaskClient, token: str) -> None:
    sign_in(client, token, base_url=EXTERNAL_URL)
