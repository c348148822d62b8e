"""A model's page with many versions: in parts, each with the moves of its time, in a fixed number of statements."""

import re

from flask.testing import FlaskClient

from mltrail_server.services.context.deps import Deps
from tests.clock import FrozenClock
from tests.mlflow_client import LOCAL_TOKEN, Mlflow
from tests.statements import statements_of
from tests.ui.browsing import ML, page, sign_in

BACKENDS = ("sqlite", "postgresql")


def test_versions_come_in_parts_with_the_moves_of_their_time(
    client: FlaskClient, mlflow: Mlflow, deps: Deps, clock: FrozenClock
) -> None:
    sign_in(client, LOCAL_TOKEN)
    mlflow.post("registered-models/create", name="churn")
    counts = {}
    for number in range(1, 61):
        clock.advance(1000)
        mlflow.post("model-versions/create", name="churn", source="")
        if number % 10 == 0:
            clock.advance(1000)
            mlflow.post("registered-models/alias", name="churn", alias="champion", version=str(number))
        if number in {20, 45}:
            with statements_of(deps) as sent:
                page(client, f"{ML}/models/churn")
            counts[number] = len(sent)
    assert counts[20] == counts[45]
    first = page(client, f"{ML}/models/churn")
    older = re.search(r'href="(\?page=[^"]+)"', first)
    assert older
    second = page(client, f"{ML}/models/churn{older[1]}")
    assert 'id="versions">Versions <span class="count">60</span>' in first
    assert [text.count('class="event"') for text in (first, second)] == [50 + 5, 10 + 1]
    assert "1.0.50</a>" in first
    assert all(f'/versions/{number}"' in first for number in (60, 50, 40, 30, 20))
    assert re.search(r"</span> set to <a [^>]*>1.0.9</a>", second), "the first move, beside the versions of its time"
