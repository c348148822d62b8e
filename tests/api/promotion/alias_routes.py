"""The ways to give a version an alias by hand."""

from collections.abc import Callable

from werkzeug.test import TestResponse

from tests.api.trail import Trail
from tests.team import EXTERNAL_URL
from tests.ui.browsing import form_token, sign_in


def by_mlflow(trail: Trail, role: str, name: str, alias: str, version: str) -> TestResponse:
    fields = {"name": name, "alias": alias, "version": version}
    return trail.person(role).call("POST", "api/2.0/mlflow/registered-models/alias", json=fields)


def by_our_api(trail: Trail, role: str, name: str, alias: str, version: str) -> TestResponse:
    return trail.client.put(
        f"/api/v4/projects/42/ml/models/{name}/aliases/{alias}",
        json={"version": version},
        headers={"Authorization": f"Bearer {trail.team.tokens[role]}"},
    )


def by_page(trail: Trail, role: str, name: str, alias: str, version: str) -> TestResponse:
    sign_in(trail.client, trail.team.tokens[role], base_url=EXTERNAL_URL)
    token = form_token(trail.client, base_url=EXTERNAL_URL)
    data = {"csrf_token": token, "do": "alias", "alias": alias, "version": version}
    return trail.client.post(f"/team/churn/-/ml/models/{name}", data=data, base_url=EXTERNAL_URL)


ROUTES: dict[str, Callable[..., TestResponse]] = {"mlflow": by_mlflow, "api": by_our_api, "page": by_page}
