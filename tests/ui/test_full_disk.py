"""A full disk is reported as a full disk, not as a wrong token."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from flask.testing import FlaskClient

from mltrail_server.app import create_app
from mltrail_server.domain.errors import MltrailError
from mltrail_server.services.context.deps import Deps
from mltrail_server.services.identity.sessions import sign_in_with_token
from mltrail_server.store.db import failures
from tests.mlflow_client import LOCAL_TOKEN, Mlflow, failure
from tests.team import EXTERNAL_URL, Team
from tests.ui.browsing import sign_in


@contextmanager
def full(deps: Deps) -> Iterator[None]:
    """Let the database grow no more. Every connection has a limit of its own, so the one that is kept is used."""
    with deps.db.write() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count = 1")
    try:
        yield
    finally:
        with deps.db.write() as connection:
            connection.exec_driver_sql("PRAGMA max_page_count = 1073741823")


def fill(deps: Deps) -> None:
    """Take up what room the pages have that are there."""

    def sign_in_for_ever() -> None:
        while True:
            sign_in_with_token(deps, LOCAL_TOKEN)

    with pytest.raises(MltrailError, match="disk of its database is full"):
        sign_in_for_ever()


def test_a_sign_in_that_can_not_be_stored_is_no_wrong_token(deps: Deps, client: FlaskClient) -> None:
    with full(deps):
        fill(deps)
        answer = sign_in(client, LOCAL_TOKEN)
        assert answer.status_code == 503
        assert "can't write" in answer.get_data(as_text=True).replace("&#39;", "'")
        assert int(answer.headers["Retry-After"]) > 0
        assert sign_in(client, "wrong").status_code == 401
    assert sign_in(client, LOCAL_TOKEN).status_code == 303


def test_a_call_of_a_project_that_can_not_be_stored_is_no_wrong_token(deps: Deps, client: FlaskClient) -> None:
    with full(deps):
        fill(deps)
        for number in range(2, 2000):
            mlflow = Mlflow(client, project=str(number))
            status, code, message = failure(mlflow.call("GET", "api/2.0/mlflow/runs/get?run_id=a"))
            if status != 404:
                break
    assert (status, code) == (503, "TEMPORARILY_UNAVAILABLE")
    assert "full" in message


def test_a_sign_in_while_gitlab_is_down_is_no_wrong_token(team: Team, gitlab_deps: Deps) -> None:
    client = create_app(gitlab_deps).test_client()
    team.gitlab.fail_next("GET", "/api/v4/", 502)
    assert sign_in(client, team.tokens["guest"], base_url=EXTERNAL_URL).status_code == 503


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG])
def test_an_error_of_the_file_system_is_put_into_words_too(deps: Deps, number: int) -> None:
    failure = failures.in_words(deps.db.engine.dialect.dbapi, OSError(number, "no room"))
    assert failure is not None
    assert "full" in failure.message
