"""A plain query is decoded without the general rules, but always with the result that they would give."""

import pytest
from flask import Request
from werkzeug.test import EnvironBuilder

from mltrail_server.domain.errors import MltrailError
from mltrail_server.mlflow_api.messages import Message, message_of, query_of


class _Message(Message):
    run_id: str
    most: int | None = None
    view: str | int | None = None
    names: list[str] | None = None
    both: list[str] | str | None = None
    sure: bool = False


QUERIES = (
    *("run_id=a", "run_id=", "run_id", "=a", "run_id=a=b", "run_id=a&", "&run_id=a", "run_id=a&&most=1", "most=1"),
    *("run_id=1", "run_id=null", "run_id=a&most=3", "run_id=a&most=x", "run_id=a&most=", "run_id=a&most=null"),
    *("run_id=a&view=1", "run_id=a&view=ALL", "run_id=a&view=null", "run_id=a&names=x", "run_id=a&names=x&names=y"),
    *("run_id=a&both=x", "run_id=a&both=x&both=y", "run_id=a&names[]=x", "run_id=a&names%5B%5D=x", "runId=a"),
    *("run_id=a&runId=a", "run_id=a&run_id=b", "run_id=a&other=1", "run_id=a&sure=true", "run_id=a&sure=1"),
    *(
        "run_id=a+b",
        "run_id=a%20b",
        "run_id=%C3%A9",
        "run_id=\u00c3\u00a9",
        "run_id=a/b",
        "run_id=a;most=1",
        "run_id=a\n",
    ),
)


def _outcome(request: Request, *, plainly: bool) -> object:
    try:
        return (message_of if plainly else query_of)(request, _Message)
    except MltrailError as error:
        return error.code, error.message


@pytest.mark.parametrize("query", QUERIES)
def test_a_plain_query_is_read_as_the_general_rules_say(query: str) -> None:
    environ = EnvironBuilder("/").get_environ() | {"QUERY_STRING": query}
    found, expected = (_outcome(Request(dict(environ)), plainly=plainly) for plainly in (True, False))
    assert found == expected
