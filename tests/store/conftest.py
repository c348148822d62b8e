"""What a local user may do, for tests that call services and the store."""

import pytest

from mltrail_server.domain.identity import Access, Actor, TokenKind
from mltrail_server.domain.ids import ProjectId
from mltrail_server.services.context.deps import Deps, Scope
from mltrail_server.services.identity import projects


@pytest.fixture
def scope(deps: Deps) -> Scope:
    actor = Actor(TokenKind.LOCAL, ProjectId(1), "1", "local", Access.WRITE)
    projects.ensure(deps, actor)
    return Scope(deps, actor)
