"""A crowd of unknown tokens does not keep out those that are known."""

from contextlib import ExitStack

from flask.testing import FlaskClient

from mltrail_server.services.context.call_limits import MOST_LOOKUPS
from mltrail_server.services.context.deps import Deps
from tests.team import EXTERNAL_URL, Team

URL = "/api/v4/projects/42/ml/mlflow/api/2.0/mlflow/experiments/get?experiment_id=0"


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def test_while_many_tokens_are_looked_up_others_wait_and_the_known_pass(
    gitlab_client: FlaskClient, gitlab_deps: Deps, team: Team
) -> None:
    known, new = bearer(team.tokens["developer"]), bearer(team.tokens["guest"])
    assert gitlab_client.get(URL, headers=known).status_code == 200
    with ExitStack() as crowd:
        for _ in range(MOST_LOOKUPS):
            assert gitlab_deps.team is not None
            crowd.enter_context(gitlab_deps.team.lookup_limit.hold())
        refused = gitlab_client.get(URL, headers=new)
        assert refused.status_code == 503
        assert refused.headers["Retry-After"] == "1"
        assert gitlab_client.get(URL, headers=known).status_code == 200
        assert gitlab_client.get(URL, headers=bearer(team.gitlab.mint(team.job(), EXTERNAL_URL))).status_code == 200
    assert gitlab_client.get(URL, headers=new).status_code == 200
