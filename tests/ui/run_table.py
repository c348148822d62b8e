"""The table of an experiment's runs, as its page shows it."""

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.ui.browsing import form_token

ROOT = "/1/-/ml/experiments/0"
Log = Callable[..., str]


def url(**query: Any) -> str:
    return f"{ROOT}?{urlencode(query, doseq=True)}"


def post(client: FlaskClient, path: str, **fields: str | list[str]) -> TestResponse:
    """Send one of the forms of the page, which is below its address."""
    return client.post(f"{ROOT}/{path}", data={"csrf_token": form_token(client), **fields})


def names(shown: str) -> list[str]:
    return re.findall(r'<th scope="row"[^>]*><a href="/1/-/ml/candidates/\d+">([^<]+)</a>', shown)
