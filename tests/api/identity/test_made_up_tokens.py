"""Tokens, projects and hosts that somebody made up: refused in words, and never sent on to GitLab."""

import base64
import json
from dataclasses import replace

import jwt
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from flask.testing import FlaskClient

from mltrail_server.app import create_app
from mltrail_server.services.context.deps import Deps
from tests.api.identity.admission import READ, WRITE, admitted, refused
from tests.fakes.gitlab.keys import SigningKey
from tests.mlflow_client import Mlflow, failure
from tests.team import EXTERNAL_URL, Team


def basic(client: FlaskClient, password: bytes) -> tuple[int, str, str]:
    pair = base64.b64encode(b"ci:" + password).decode()
    mlflow = Mlflow(client, project="42", token=None)
    return failure(mlflow.call("GET", f"api/2.0/mlflow/{READ[1]}", headers={"Authorization": f"Basic {pair}"}))


@pytest.mark.parametrize(
    "password", ["✓", "glpat-a\nb", "glpat-a\r\nX-Admin: 1", "glpat-a b", "glpat-wröng", " ", "\x00", "x" * 5000]
)
def test_what_can_not_be_a_token_is_not_sent_to_gitlab(gitlab_client: FlaskClient, team: Team, password: str) -> None:
    status, code, message = basic(gitlab_client, password.encode())
    assert (status, code) == (401, "CUSTOMER_UNAUTHORIZED")
    assert "Copy it again" in message
    assert team.gitlab.requests == []


def test_a_password_that_is_no_text_counts_as_none(gitlab_client: FlaskClient) -> None:
    assert basic(gitlab_client, b"\xff\xfe")[:2] == (401, "CUSTOMER_UNAUTHORIZED")


def test_a_deeply_nested_header_is_refused(gitlab_client: FlaskClient) -> None:
    header = b'{"alg":"RS256","kid":' + b"[" * 5500 + b"]" * 5500 + b"}"
    token = base64.urlsafe_b64encode(header).rstrip(b"=").decode() + ".e30.e30"
    assert refused(gitlab_client, token)[:2] == (401, "CUSTOMER_UNAUTHORIZED")


@pytest.mark.parametrize(
    "header",
    [
        {"kid": "../../../etc/passwd"},
        {"kid": "ci' OR '1'='1"},
        {"kid": ["ci"]},
        {"kid": {"ci": "ci"}},
        {"kid": None},
        {"kid": "x" * 5000},
        {"kid": "ci", "crit": ["exp"]},
        {"jku": "http://127.0.0.1:9/keys"},
        {"x5u": "http://127.0.0.1:9/keys"},
        {"jwk": "own"},
        {"x5c": ["own"]},
    ],
)
def test_no_header_brings_its_own_key(gitlab_client: FlaskClient, team: Team, header: dict[str, object]) -> None:
    """A header is written by whoever sends the token: it chooses among the issuer's keys, and nothing else."""
    foreign = SigningKey("foreign")
    header = {name: foreign.jwk if value == "own" else value for name, value in header.items()}
    claims = jwt.decode(team.gitlab.mint(team.job(), EXTERNAL_URL), options={"verify_signature": False})
    parts = [{"alg": "RS256", "typ": "JWT", "kid": "ci"} | header, claims]
    signed = b".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in parts)
    signature = foreign.private.sign(signed, padding.PKCS1v15(), hashes.SHA256())
    token = (signed + b"." + base64.urlsafe_b64encode(signature).rstrip(b"=")).decode()
    assert refused(gitlab_client, token)[:2] == (401, "CUSTOMER_UNAUTHORIZED")
    assert refused(gitlab_client, token, call=WRITE)[0] == 401


def test_a_claim_that_is_there_twice_proves_nothing_more(gitlab_client: FlaskClient, team: Team) -> None:
    """The signature covers the text, so that only GitLab could send it; the last one counts, and it is checked."""
    token = team.gitlab.mint(team.job(), EXTERNAL_URL)
    header, body, signature = token.split(".")
    text = base64.urlsafe_b64decode(body + "==")
    doubled = text[:-1] + b', "job_project_id": "77", "user_access_level": "owner"}'
    forged = base64.urlsafe_b64encode(doubled).rstrip(b"=").decode()
    assert refused(gitlab_client, f"{header}.{forged}.{signature}")[0] == 401


@pytest.mark.parametrize(
    "project",
    [
        *(".", "..", "%2e%2e", "%252e%252e", "..%2Fuser", "team%2F..%2Fchurn", "team%2Fchurn%2F..", "team%2F%2Fchurn"),
        *(
            "42%2Fjobs%3Fx",
            "42%3Fx",
            "42%23x",
            "42%00",
            "-1",
            "0",
            "042",
            "4\u0662",
            "42.",
            "team",
            "9" * 40,
            "team%2Fch rn",
        ),
    ],
)
def test_a_made_up_project_is_not_found_with_any_token(gitlab_client: FlaskClient, team: Team, project: str) -> None:
    for token in (team.tokens["owner"], team.gitlab.mint(team.job(), EXTERNAL_URL)):
        assert refused(gitlab_client, token, project=project)[:2] == (404, "RESOURCE_DOES_NOT_EXIST")
    assert not any(path.startswith("/api") for _, path in team.gitlab.requests)


def test_a_path_may_be_in_any_case(gitlab_client: FlaskClient, team: Team) -> None:
    assert admitted(gitlab_client, team.gitlab.mint(team.job(), EXTERNAL_URL), project="Team%2FChurn", call=WRITE)
    assert admitted(gitlab_client, team.tokens["developer"], project="Team%2FChurn")


@pytest.mark.parametrize(
    "host",
    [
        *("evil.example.com", "127.example.com", "127.0.0.1.example.com", "localhost.example.com", "0.0.0.0"),
        *("127.0.0.1@evil", "[::", "a b", "127.0.0.1:x", ""),
    ],
)
def test_local_mode_refuses_a_foreign_host(mlflow: Mlflow, host: str) -> None:
    answer = mlflow.call("GET", f"api/2.0/mlflow/{READ[1]}", headers={"Host": host})
    assert failure(answer)[:2] == (403, "PERMISSION_DENIED")


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:5000", "127.8.8.8", "[::1]:5000"])
def test_local_mode_answers_to_this_machine(mlflow: Mlflow, host: str) -> None:
    answer = mlflow.call("GET", f"api/2.0/mlflow/{READ[1]}", query_string=READ[2], headers={"Host": host})
    assert answer.status_code == 200


NO_TIMES = [
    1e999,
    -1e999,
    float("nan"),
    1e300,
    10**30,
    2**63,
    -1,
    -(10**18),
    True,
    False,
    None,
    "",
    "1790000000",
    "soon",
    [],
    [1],
    {},
]


@pytest.mark.parametrize("name", ["exp", "nbf", "iat"])
@pytest.mark.parametrize("odd", NO_TIMES, ids=str)
def test_a_time_that_is_none_is_refused_in_words(
    gitlab_client: FlaskClient, team: Team, name: str, odd: object
) -> None:
    token = team.gitlab.mint(team.job(), EXTERNAL_URL, **{name: odd})
    for call in (READ, WRITE):
        status, code, message = refused(gitlab_client, token, call=call)
        assert (status, code) == (401, "CUSTOMER_UNAUTHORIZED")
        assert f"`{name}`" in message or f"'{name}'" in message


def test_a_time_may_have_a_fraction(gitlab_client: FlaskClient, team: Team) -> None:
    """https://www.rfc-editor.org/rfc/rfc7519#section-2"""
    token = team.gitlab.mint(team.job(), EXTERNAL_URL, iat=1_789_999_999.5, exp=1_790_003_600.25)
    assert admitted(gitlab_client, token)


@pytest.mark.parametrize("token", ["a=b", "abc=def", "a,b=c", "a=", "==", 'realm="x"', "a-b_c.d~e+f/g=h"])
def test_a_token_may_hold_what_headers_mean_something_by(deps: Deps, token: str) -> None:
    deps = replace(deps, settings=replace(deps.settings, local_token=token))
    mlflow = Mlflow(create_app(deps).test_client(), token=token)
    assert mlflow.call("GET", "api/2.0/mlflow/experiments/get?experiment_id=0").status_code == 200
