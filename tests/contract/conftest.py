"""A real server, for tests that speak HTTP by hand: local mode on SQLite, and a team's on PostgreSQL."""

from collections.abc import Iterator

import pytest

from tests.databases import BACKENDS
from tests.e2e.processes import Server
from tests.fakes.gitlab.state import Token
from tests.postgresql import Cluster
from tests.team_server import TeamServer

TOKEN = "token-of-the-raw-tests"
PROJECT_ID = 1


@pytest.fixture(scope="module", params=BACKENDS)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("server")
    if request.param == "sqlite":
        with Server.started(folder, token=TOKEN) as running:
            yield running
        return
    cluster: Cluster = request.getfixturevalue("cluster")
    cluster.run("CREATE DATABASE contract")
    with TeamServer(folder, database_url=cluster.url("contract"), project_id=PROJECT_ID) as team:
        team.gitlab.tokens[TOKEN] = Token(TOKEN, team.developer, ["api"])
        yield Server(team.url, team.process)
    cluster.run("DROP DATABASE contract WITH (FORCE)")
