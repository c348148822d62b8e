"""Pages as a browser asks for them, and signing in."""

import html
import re

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.team import EXTERNAL_URL

ML = "/1/-/ml"
TEAM_ML = "/team/churn/-/ml"


def form_token(client: FlaskClient, **options: str) -> str:
    """Read the value that the sign-in form sends along."""
    shown = client.get("/-/sign-in", **options).get_data(as_text=True)
    found = re.search(r'name="csrf_token" value="([^"]+)"', shown)
    assert found
    return found[1]


def sign_in(
    client: FlaskClient,
    token: str,
    *,
    to: str = "/1/-/ml/experiments",
    base_url: str = "http://localhost",
    **headers: str,
) -> TestResponse:
    data = {"token": token, "next": to, "csrf_token": form_token(client, base_url=base_url)}
    return client.post("/-/sign-in", data=data, headers=headers, base_url=base_url)


def page(client: FlaskClient, path: str) -> str:
    answer = client.get(path)
    assert answer.status_code == 200, answer.get_data(as_text=True)
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    return html.unescape(answer.get_data(as_text=True))


def team_page(client: FlaskClient, path: str, status: int = 200) -> str:
    answer = client.get(path, base_url=EXTERNAL_URL)
    assert answer.status_code == status, answer.get_data(as_text=True)
    return html.unescape(answer.get_data(as_text=True))
