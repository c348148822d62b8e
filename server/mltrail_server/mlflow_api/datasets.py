"""Which datasets the runs of some experiments used: MLflow's pages ask for it."""

import msgspec
from flask import Response

from mltrail_server.domain.errors import invalid
from mltrail_server.http.answers import json_answer
from mltrail_server.http.call import Call
from mltrail_server.services.tracking import experiments

from .messages import Message, message_of
from .wire import experiment_number


class _Search(Message):
    experiment_ids: list[str] = msgspec.field(default_factory=list)


def search(call: Call) -> Response:
    body = message_of(call.request, _Search)
    if len(body.experiment_ids) > experiments.MOST_FOR_DATASETS:
        raise invalid(
            f"SearchDatasets request cannot specify more than {experiments.MOST_FOR_DATASETS} experiment_ids. "
            f"Received {len(body.experiment_ids)} experiment_ids."
        )
    if not body.experiment_ids:
        raise invalid("SearchDatasets request must specify at least one experiment_id.")
    iids = [experiment_number(one) for one in body.experiment_ids]
    found = experiments.datasets(call.scope, iids)
    shown = [
        {"experiment_id": str(one.experiment_iid), "name": one.name, "digest": one.digest}
        | ({"context": one.context} if one.context is not None else {})
        for one in found
    ]
    return json_answer({"dataset_summaries": shown} if shown else {})
