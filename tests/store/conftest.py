"""What a local user may do, for tests that call services and the store, and how its database goes about it."""

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy import event

from mltrail_server.domain.identity import Access, Actor, TokenKind
from mltrail_server.domain.ids import ProjectId
from mltrail_server.services.context.deps import Deps, Scope
from mltrail_server.services.identity import projects
from tests.databases import PostgresqlDatabases
from tests.postgresql import Cluster

_COMMENT = re.compile(r"^/\*.*?\*/ ")  # the statement's name


@pytest.fixture
def scope(deps: Deps) -> Scope:
    actor = Actor(TokenKind.LOCAL, ProjectId(1), "1", "local", Access.WRITE)
    projects.ensure(deps, actor)
    return Scope(deps, actor)


@pytest.fixture
def new_database(
    backend: str, request: pytest.FixtureRequest, new_database: Callable[[Path], str]
) -> Iterator[Callable[[Path], str]]:
    """Answer the URL of an empty database; of one that has never been used, for tests with that fixture."""
    if backend == "sqlite" or never_used.__name__ not in request.fixturenames:
        yield new_database
        return
    lender: PostgresqlDatabases = request.getfixturevalue("postgresql_databases")
    with ExitStack() as made:
        yield lambda folder: made.enter_context(lender.unused(folder))


@pytest.fixture
def never_used() -> None:
    """Have a database for this test alone: the plans of PostgreSQL depend on what other tests have left in one."""


@pytest.fixture
def plans(never_used: None, scope: Scope) -> Iterator[list[str]]:
    """Collect the database's plan for each SELECT: which index it walks."""
    explaining, column = ("EXPLAIN QUERY PLAN", 3) if scope.deps.db.is_sqlite else ("EXPLAIN", 0)
    seen: list[str] = []

    def explain(
        connection: sa.Connection, _cursor: object, statement: str, parameters: tuple[object, ...], *_: object
    ) -> None:
        if _COMMENT.sub("", statement).startswith(("SELECT", "WITH")):
            asked = connection.connection.cursor()
            asked.execute(f"{explaining} {statement}", parameters)
            seen.extend(row[column] for row in asked)

    event.listen(scope.deps.db.engine, "before_cursor_execute", explain)
    yield seen
    event.remove(scope.deps.db.engine, "before_cursor_execute", explain)


@pytest.fixture
def fresh(backend: str, tmp_path: Path, request: pytest.FixtureRequest) -> Callable[..., str]:
    """Answers the URL of a database that nobody has set up."""

    def url(name: str = "fresh") -> str:
        if backend == "sqlite":
            return f"sqlite:///{tmp_path / name}.db"
        cluster: Cluster = request.getfixturevalue("cluster")
        cluster.run(f"CREATE DATABASE {name}")
        request.addfinalizer(lambda: cluster.run(f"DROP DATABASE {name} WITH (FORCE)"))
        return cluster.url(name)

    return url
