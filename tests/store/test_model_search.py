"""What a page of models or versions costs, however long it is."""

from collections.abc import Callable

import pytest
from sqlalchemy import event

from mltrail_server.domain.identity import Access, Actor, TokenKind
from mltrail_server.domain.ids import ProjectId
from mltrail_server.services.context.deps import Deps, Scope
from mltrail_server.services.identity import projects
from mltrail_server.services.registry import aliases, models, versions


@pytest.fixture
def scope(deps: Deps) -> Scope:
    actor = Actor(TokenKind.LOCAL, ProjectId(1), "1", "local", Access.WRITE)
    projects.ensure(deps, actor)
    return Scope(deps, actor)


def statements(deps: Deps, call: Callable[[], object]) -> int:
    seen: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if not statement.startswith("BEGIN"):
            seen.append(statement)

    event.listen(deps.db.engine, "before_cursor_execute", note)
    call()
    event.remove(deps.db.engine, "before_cursor_execute", note)
    return len(seen)


def test_a_longer_page_takes_no_more_statements(scope: Scope) -> None:
    for model in range(10):
        models.create(scope, name=f"m{model}", tags={"team": "growth"})
        for _ in range(3):
            versions.create(scope, f"m{model}", versions.Request(), {"k": "v"})
        aliases.put(scope, f"m{model}", "champion", "2")
    for limit in (1, 10):
        assert statements(scope.deps, lambda limit=limit: models.search(scope, limit=limit)) == 6
        assert statements(scope.deps, lambda limit=limit: versions.search(scope, limit=limit)) == 3
    assert len(models.search(scope).items) == 10
    assert len(versions.search(scope).items) == 30
