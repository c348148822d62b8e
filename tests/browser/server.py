"""A server that a real browser can talk to: over a port of its own, with the stand-in for GitLab behind it."""

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flask.testing import FlaskClient
from werkzeug.serving import WSGIRequestHandler, make_server

from mltrail_server.app import create_app, create_deps
from mltrail_server.services.deps import Deps
from mltrail_server.settings import Settings
from tests.conftest import FrozenClock, Team, team_in
from tests.fakes.gitlab import FakeGitLab


class _Quiet(WSGIRequestHandler):
    def log_request(self, *_: object) -> None:
        pass


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

    server = make_server("127.0.0.1", 0, application, threaded=True, request_handler=_Quiet)
    url = f"http://127.0.0.1:{server.server_port}"
    with FakeGitLab(clock=lambda: clock() / 1000) as gitlab:
        team = team_in(gitlab)
        settings = Settings(
            data_dir=str(folder),
            secret_key="key-of-the-tests",
            external_url=url,
            gitlab_url=gitlab.url,
            gitlab_token=team.tokens["bot"],
        )
        deps = create_deps(settings, clock=clock)
        app = create_app(deps)
        inner.append(app.wsgi_app)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield Site(url, team, deps, app.test_client(), clock)
        finally:
            server.shutdown()
            thread.join()
            server.server_close()
            deps.db.dispose()
