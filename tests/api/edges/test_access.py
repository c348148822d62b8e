"""Deny by default: every rule of the URL map, with every method, came through `http.routes`."""

import pytest
from flask import Flask
from flask.testing import FlaskClient

from mltrail_server.domain.identity import Access
from tests.api.edges.url_map import PUBLIC, url_of
from tests.team import Team


def test_every_rule_declares_its_access(app: Flask) -> None:
    assert len(list(app.url_map.iter_rules())) > 100
    for rule in app.url_map.iter_rules():
        access = getattr(app.view_functions[rule.endpoint], "mltrail_access", "undeclared")
        assert access is None if rule.rule in PUBLIC else isinstance(access, Access), rule


@pytest.mark.parametrize("token", [None, "wrong"])
def test_every_rule_refuses_strangers(app: Flask, token: str | None) -> None:
    client = app.test_client()
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    for rule in app.url_map.iter_rules():
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"} if rule.rule not in PUBLIC else ():
            answer = client.open(
                url_of(rule.rule), method=method, headers=headers, json={} if method != "GET" else None
            )
            # A page sends a stranger to the sign-in, the API refuses.
            expected = 302 if "/-/ml/" in rule.rule else 401
            assert answer.status_code == expected, (method, rule.rule, answer.get_data(as_text=True))


@pytest.mark.parametrize(("role", "expected"), [("stranger", 404), ("guest", 403), ("reporter", 403)])
def test_every_rule_that_writes_refuses_readers(
    gitlab_client: FlaskClient, team: Team, role: str, expected: int
) -> None:
    app, headers = gitlab_client.application, {"Authorization": f"Bearer {team.tokens[role]}"}
    tried = 0
    for rule in app.url_map.iter_rules():
        if getattr(app.view_functions[rule.endpoint], "mltrail_access", None) is not Access.WRITE:
            continue
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}:
            url = url_of(rule.rule).replace("/projects/1/", "/projects/42/")
            answer = gitlab_client.open(url, method=method, headers=headers, json={})
            # Pages know a cookie only, so that they send this one to the sign-in.
            assert answer.status_code == (302 if "/-/ml/" in rule.rule else expected), (method, rule.rule)
            tried += 1
    assert tried > 50
