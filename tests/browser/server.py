"""A server that a real browser can talk to: over a port of its own, with the stand-in for GitLab behind it."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flask.testing import FlaskClient

from mltrail_server.app import create_app, create_deps
from mltrail_server.services.context.deps import Deps
from mltrail_server.settings import Settings
from tests.clock import FrozenClock
from tests.fakes.gitlab import FakeGitLab
from tests.fakes.gitlab.serving import Serving
from tests.team import Team, team_in


@dataclass
class Site:
    url: str
    team: Team
    deps: Deps
    client: FlaskClient
    clock: FrozenClock


@contextmanager
def site(folder: Path, clock: FrozenClock) -> Iterator[Site]:
    """Serve until the block ends. The address is known before the application is, since settings hold it."""
    inner: list[Callable[..., Iterable[bytes]]] = []

    def application(environ: Any, start_response: Any) -> Iterable[bytes]:
        return inner[0](environ, start_response)

    server = Serving(application)
    with FakeGitLab(clock=lambda: clock() / 1000) as gitlab:
        team = team_in(gitlab)
        settings = Settings(
            data_dir=str(folder),
            secret_key="key-of-the-tests",
            external_url=server.url,
            gitlab_url=gitlab.url,
            gitlab_token=team.tokens["bot"],
        )
        deps = create_deps(settings, clock=clock)
        app = create_app(deps)
        inner.append(app.wsgi_app)
        try:
            with server:
                yield Site(server.url, team, deps, app.test_client(), clock)
        finally:
            deps.db.dispose()
