"""Scorers: https://mlflow.org/docs/latest/genai/eval-monitor/scorers/."""

from flask import Response

from mltrail_server.domain import filters
from mltrail_server.domain.errors import Code, MltrailError, invalid
from mltrail_server.http.answers import json_answer
from mltrail_server.http.call import Call
from mltrail_server.services.traces import scorers
from mltrail_server.store.traces.scorers import ScorerVersion

from .messages import Message, message_of
from .wire import check_length, experiment_number


class _Register(Message):
    experiment_id: str
    name: str
    serialized_scorer: str


class _List(Message):
    experiment_id: str | None = None
    experiment_ids: list[str] | None = None


class _Named(Message):
    experiment_id: str
    name: str
    version: int | None = None


class _OnlineConfigs(Message):
    scorer_ids: list[str]


def register(call: Call) -> Response:
    body = message_of(call.request, _Register)
    made = scorers.register(
        call.scope,
        experiment_iid=experiment_number(body.experiment_id),
        name=body.name,
        serialized=body.serialized_scorer,
    )
    return json_answer(
        {
            "version": made.version,
            "scorer_id": made.scorer_id,
            "experiment_id": str(made.experiment_iid),
            "name": made.name,
            "serialized_scorer": made.serialized,
            "creation_time": made.created_ms,
        }
    )


def listing(call: Call) -> Response:
    """List the newest versions: of one experiment, of several, or of all."""
    query = message_of(call.request, _List)
    if query.experiment_id and query.experiment_ids is not None:
        raise invalid(
            "Cannot specify both 'experiment_id' and 'experiment_ids'. Use 'experiment_ids' to scope the query to "
            "multiple experiments, or 'experiment_id' to scope it to a single experiment."
        )
    if query.experiment_id:
        return _answer(scorers.latest(call.scope, experiment_number(query.experiment_id)))
    check_length("experiment_ids", query.experiment_ids, filters.MAX_LIST)
    iids = None if query.experiment_ids is None else [experiment_number(one) for one in query.experiment_ids]
    return _answer(scorers.latest_of(call.scope, iids))


def versions(call: Call) -> Response:
    query = message_of(call.request, _Named)
    return _answer(scorers.versions(call.scope, experiment_number(query.experiment_id), query.name))


def get(call: Call) -> Response:
    query = message_of(call.request, _Named)
    found = scorers.get(call.scope, experiment_number(query.experiment_id), query.name, query.version)
    return json_answer({"scorer": _shown(found)})


def delete(call: Call) -> Response:
    body = message_of(call.request, _Named)
    scorers.delete(call.scope, experiment_number(body.experiment_id), body.name, body.version)
    return json_answer({})


def online_configs(call: Call) -> Response:
    """Say that no scorer runs by itself: clients ask whenever they list scorers."""
    message_of(call.request, _OnlineConfigs)
    return json_answer({"configs": []})


def set_online_config(_call: Call) -> Response:
    raise MltrailError(
        Code.NOT_IMPLEMENTED,
        "mltrail does not run scorers itself, so it can't sample traces for one. Run mlflow.genai.evaluate in a "
        "scheduled pipeline, on the traces that mlflow.search_traces finds.",
    )


def _answer(found: list[ScorerVersion]) -> Response:
    return json_answer({"scorers": [_shown(one) for one in found]} if found else {})


def _shown(scorer: ScorerVersion) -> dict[str, object]:
    return {
        "experiment_id": scorer.experiment_iid,
        "scorer_name": scorer.name,
        "scorer_version": scorer.version,
        "serialized_scorer": scorer.serialized,
        "creation_time": scorer.created_ms,
        "scorer_id": scorer.scorer_id,
    }
