"""Jobs that make the same experiment at the same time. https://mlflow.org/docs/latest/api_reference/rest-api.html"""

from flask.testing import FlaskClient

from tests.api.tracking.runs import by
from tests.clock import FrozenClock
from tests.team import EXTERNAL_URL, Team


def test_jobs_of_a_matrix_get_one_experiment(gitlab_client: FlaskClient, team: Team) -> None:
    """MLflow's `set_experiment()` takes a refusal for success and then logs to the Default experiment."""
    jobs = [by(gitlab_client, team.gitlab.mint(team.job(), EXTERNAL_URL)) for _ in range(3)]
    numbers = {job.post("experiments/create", name="churn")["experiment_id"] for job in jobs}
    assert len(numbers) == 1


def test_a_name_that_was_taken_before_is_refused(gitlab_client: FlaskClient, team: Team, clock: FrozenClock) -> None:
    job = by(gitlab_client, team.gitlab.mint(team.job(), EXTERNAL_URL))
    job.post("experiments/create", name="churn")
    clock.advance(61_000)
    assert job.error("POST", "experiments/create", name="churn")[1] == "RESOURCE_ALREADY_EXISTS"


def test_a_deleted_one_and_a_persons_are_refused(gitlab_client: FlaskClient, team: Team) -> None:
    person = by(gitlab_client, team.tokens["developer"])
    job = by(gitlab_client, team.gitlab.mint(team.job(), EXTERNAL_URL))
    number = person.post("experiments/create", name="churn")["experiment_id"]
    assert person.error("POST", "experiments/create", name="churn")[1] == "RESOURCE_ALREADY_EXISTS"
    person.post("experiments/delete", experiment_id=number)
    assert job.error("POST", "experiments/create", name="churn")[1] == "RESOURCE_ALREADY_EXISTS"
