"""Signing in by GitLab."""

from urllib.parse import urlsplit

import urllib3
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.team import EXTERNAL_URL

PAGE = "/team/churn/-/ml/experiments"


def get(browser: FlaskClient, path: str) -> TestResponse:
    return browser.get(path, base_url=EXTERNAL_URL)


def to_gitlab(browser: FlaskClient, target: str = PAGE) -> str:
    """Follow the way to GitLab and back, up to the address that GitLab sends the browser to."""
    there = get(browser, f"/-/sign-in/gitlab?next={target}").headers["Location"]
    answer = urllib3.request("GET", there, redirect=False)
    back = urlsplit(answer.headers["Location"])
    return f"{back.path}?{back.query}"


def log_in(browser: FlaskClient, target: str = PAGE) -> TestResponse:
    return get(browser, to_gitlab(browser, target))
