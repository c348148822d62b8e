"""Fixtures that all tests share: a clock, a database of one's own, the application, a team and its trail."""

import gc
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import hypothesis
import pytest
from flask import Flask
from flask.testing import FlaskClient

from mltrail_server.app import create_app, create_deps
from mltrail_server.services.context.deps import Deps
from mltrail_server.settings import Settings
from tests import costs as call_costs
from tests import databases, environment, url_maps
from tests.api.trail import Trail
from tests.budgets import pytest_terminal_summary as pytest_terminal_summary  # noqa: PLC0414 - pytest finds it here
from tests.chromium import axe as axe  # noqa: PLC0414
from tests.chromium import chromium as chromium  # noqa: PLC0414
from tests.citus import CITUS
from tests.clock import FrozenClock
from tests.costs import Costs
from tests.databases import Databases, PostgresqlDatabases, SqliteDatabases
from tests.fakes.gitlab import FakeGitLab, description
from tests.mlflow_client import LOCAL_TOKEN, Mlflow
from tests.order import longest_first
from tests.postgresql import Cluster
from tests.s3 import bucket as bucket  # noqa: PLC0414
from tests.s3 import s3_endpoint as s3_endpoint  # noqa: PLC0414
from tests.statements import Counter, statements_of
from tests.team import EXTERNAL_URL, Team, team_in
from tests.tenancy import TENANTS


def pytest_configure() -> None:
    environment.clean()
    TENANTS.begin()
    CITUS.begin()
    call_costs.begin()
    url_maps.share()
    # Generated examples are the same in each run, and may take their time on a busy machine.
    slow = hypothesis.HealthCheck.too_slow
    hypothesis.settings.register_profile("tests", deadline=None, derandomize=True, suppress_health_check=[slow])
    hypothesis.settings.load_profile("tests")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--every-case", action="store_true", help="run each case of a test on PostgreSQL, too")


def pytest_itemcollected(item: pytest.Item) -> None:
    databases.note_case(item)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("every_case"):
        repeated = [item for item in items if databases.is_repeated(item)]
        config.hook.pytest_deselected(items=repeated)
        kept = set(items).difference(repeated)
        items[:] = [item for item in items if item in kept]
    longest_first(config, items)


def pytest_collection_finish() -> None:
    # What stands now stays. A collection that looks at all of it again and again takes a third of the whole run.
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 50, 50)


@pytest.fixture(autouse=True)
def keeps_to_projects() -> Iterator[None]:
    """Fail every test in which a statement on a tenant's table does not keep to one project."""
    TENANTS.found.clear()
    yield
    assert list(dict.fromkeys(TENANTS.found)) == []


@pytest.fixture(autouse=True)
def one_node_answers() -> Iterator[None]:
    """Fail every test on PostgreSQL in which a statement could not be answered by the node of its project."""
    CITUS.found.clear()
    yield
    assert list(dict.fromkeys(CITUS.found)) == []


@pytest.fixture(autouse=True)
def keeps_to_gitlabs_api() -> Iterator[None]:
    """Fail every test in which GitLab was asked, or the stand-in has answered, otherwise than GitLab describes."""
    description.problems.clear()
    yield
    assert list(dict.fromkeys(description.problems)) == []


@pytest.fixture
def clock() -> FrozenClock:
    return FrozenClock()


@pytest.hookimpl(trylast=True)
def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    parametrized = any("backend" in mark.args[0] for mark in metafunc.definition.iter_markers("parametrize"))
    if "backend" in metafunc.fixturenames and not parametrized:
        suite = metafunc.definition.path.relative_to(Path(__file__).parent).parts[0]
        on_both = databases.BACKENDS if suite in databases.ON_BOTH else ("sqlite",)
        metafunc.parametrize("backend", getattr(metafunc.module, "BACKENDS", on_both))


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """PostgreSQL, started by the first test that asks for it."""
    with Cluster.started() as running:
        yield running


@pytest.fixture(scope="session")
def sqlite_databases(tmp_path_factory: pytest.TempPathFactory) -> SqliteDatabases:
    return SqliteDatabases(tmp_path_factory.mktemp("template"))


@pytest.fixture(scope="session")
def postgresql_databases(cluster: Cluster) -> Iterator[PostgresqlDatabases]:
    with PostgresqlDatabases(cluster) as lender:
        yield lender


@pytest.fixture
def new_database(backend: str, request: pytest.FixtureRequest) -> Iterator[Callable[[Path], str]]:
    """Answer the URL of an empty database, for the server whose data folder is given. It is of this test alone."""
    lender: Databases = request.getfixturevalue(f"{backend}_databases")
    with ExitStack() as lent:
        yield lambda folder: lent.enter_context(lender.lent(folder))


@pytest.fixture
def settings(tmp_path: Path, new_database: Callable[[Path], str]) -> Settings:
    return Settings(
        data_dir=str(tmp_path / "data"),
        database_url=new_database(tmp_path / "data"),
        local_token=LOCAL_TOKEN,
        secret_key="key-of-the-tests",
    )


@pytest.fixture
def deps(settings: Settings, clock: FrozenClock) -> Iterator[Deps]:
    made = create_deps(settings, clock=clock)
    databases.share_compiled(made.db)
    yield made
    made.db.dispose()


@pytest.fixture
def team(clock: FrozenClock) -> Iterator[Team]:
    with FakeGitLab(clock=lambda: clock() / 1000) as gitlab:
        yield team_in(gitlab)


@pytest.fixture
def gitlab(team: Team) -> FakeGitLab:
    return team.gitlab


@pytest.fixture
def gitlab_settings(team: Team, tmp_path: Path, new_database: Callable[[Path], str]) -> Settings:
    return Settings(
        data_dir=str(tmp_path / "team-data"),
        database_url=new_database(tmp_path / "team-data"),
        secret_key="key-of-the-tests",
        external_url=EXTERNAL_URL,
        gitlab_url=team.gitlab.url,
        gitlab_token=team.tokens["bot"],
    )


@pytest.fixture
def gitlab_deps(gitlab_settings: Settings, clock: FrozenClock) -> Iterator[Deps]:
    made = create_deps(gitlab_settings, clock=clock)
    databases.share_compiled(made.db)
    yield made
    made.db.dispose()


@pytest.fixture
def gitlab_client(gitlab_deps: Deps) -> FlaskClient:
    return create_app(gitlab_deps).test_client()


@pytest.fixture
def app(deps: Deps) -> Flask:
    return create_app(deps)


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def mlflow(client: FlaskClient) -> Mlflow:
    return Mlflow(client)


@pytest.fixture
def statements(deps: Deps) -> Counter:
    return lambda: statements_of(deps)


@pytest.fixture
def costs(deps: Deps) -> Costs:
    return lambda: call_costs.cost_of(deps)


@pytest.fixture
def trail(team: Team, gitlab_client: FlaskClient, gitlab_deps: Deps, clock: FrozenClock) -> Trail:
    return Trail(team, gitlab_client, gitlab_deps, clock)
