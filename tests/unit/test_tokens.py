"""Kinds of tokens: docs/reference/tokens.md."""

from pathlib import Path

import pytest

from mltrail_server.domain import tokens
from mltrail_server.domain.errors import MltrailError

PAGE = (Path(__file__).parents[2] / "docs/reference/tokens.md").read_text()
JWT = "eyJhbGciOiJSUzI1NiJ9.e30.c2ln"


@pytest.mark.parametrize(
    ("token", "jwt", "job"),
    [(JWT, True, False), (f"glcbt-{JWT}", False, True), ("glcbt-64_x", False, True), ("glpat-x.y.z", False, False)],
)
def test_the_prefix_decides(token: str, jwt: bool, job: bool) -> None:
    assert (tokens.is_jwt(token), tokens.is_job_token(token)) == (jwt, job)


def test_only_a_jwt_loses_its_prefix() -> None:
    assert tokens.bare(f"glpat-{JWT}") == JWT
    for kept in ("glpat-abc.01.defghij", f"glcbt-{JWT}", "glpat-eyJ", f"gldt-{JWT}"):
        assert tokens.bare(kept) == kept


@pytest.mark.parametrize("token", ["glrtr-secret", "gldt-secret", "$secret", "glpat-secret\n", "x" * 1025])
def test_a_refusal_shows_no_token(token: str) -> None:
    with pytest.raises(MltrailError) as caught:
        tokens.check_form(token)
    assert token not in caught.value.message
    assert "secret" not in caught.value.message


@pytest.mark.parametrize("token", ["glpat-abc.01.defghij", "custom_prefix_abc", "a" * 64, JWT, f"glcbt-{JWT}"])
def test_what_may_be_of_use_passes(token: str) -> None:
    tokens.check_form(token)


def test_the_page_names_each_kind() -> None:
    for prefix in ("glpat-", tokens.JOB_TOKEN_PREFIX, "eyJ", "64 hex"):
        assert prefix in PAGE
