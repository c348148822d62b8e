"""A caller who logs traces, in local mode."""

import pytest
from flask.testing import FlaskClient

from tests.api.traces.caller import Traces


@pytest.fixture
def traces(client: FlaskClient) -> Traces:
    return Traces(client)
