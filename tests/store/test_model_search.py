"""What a page of models or versions costs, however long it is."""

from collections.abc import Callable

from mltrail_server.services.context.deps import Scope
from mltrail_server.services.registry import aliases, models, versions
from tests.statements import statements_of


def statements(scope: Scope, call: Callable[[], object]) -> int:
    with statements_of(scope.deps) as seen:
        call()
    return len(seen)


def test_a_longer_page_takes_no_more_statements(scope: Scope) -> None:
    for model in range(10):
        models.create(scope, name=f"m{model}", tags={"team": "growth"})
        for _ in range(3):
            versions.create(scope, f"m{model}", versions.VersionRequest(), {"k": "v"})
        aliases.put(scope, f"m{model}", "champion", "2")
    for limit in (1, 10):
        assert statements(scope, lambda limit=limit: models.search(scope, limit=limit)) == 6
        assert statements(scope, lambda limit=limit: versions.search(scope, limit=limit)) == 3
    assert len(models.search(scope).items) == 10
    assert len(versions.search(scope).items) == 30
