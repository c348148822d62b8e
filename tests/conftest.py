"""Fixtures that all tests share: a clock that stands still, a database of one's own, the application."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from mltrail_server.app import create_app, create_deps
from mltrail_server.services.deps import Deps
from mltrail_server.settings import Settings

LOCAL_TOKEN = "local-token-of-the-tests"
START = 1_790_000_000_000


class FrozenClock:
    """Time stands still until a test moves it."""

    def __init__(self, now: int = START) -> None:
        self.now = now

    def __call__(self) -> int:
        return self.now

    def advance(self, milliseconds: int) -> None:
        self.now += milliseconds


@pytest.fixture
def clock() -> FrozenClock:
    return FrozenClock()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=str(tmp_path / "data"), local_token=LOCAL_TOKEN, secret_key="key-of-the-tests")


@pytest.fixture
def deps(settings: Settings, clock: FrozenClock) -> Iterator[Deps]:
    made = create_deps(settings, clock=clock)
    yield made
    made.db.dispose()


@pytest.fixture
def app(deps: Deps) -> Flask:
    return create_app(deps)


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()
