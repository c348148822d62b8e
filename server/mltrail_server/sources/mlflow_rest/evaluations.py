"""Traces, assessments, scorers and evaluation datasets."""

import json
from collections.abc import Iterator
from dataclasses import replace
from itertools import chain

from mltrail_server.domain import limits
from mltrail_server.domain.transfer import (
    Entity,
    EvaluationDatasetRecord,
    EvaluationRowRecord,
    ExperimentRecord,
    ScorerRecord,
    TraceRecord,
)
from mltrail_server.sources.attachments import SPANS
from mltrail_server.sources.downloads import open_file
from mltrail_server.sources.http import LostError
from mltrail_server.sources.reading import Fetched, Json, is_absent, page, said

from . import evaluation_records, records
from .files import Files
from .server import AJAX, API, API_3, Server
from .tracking import Tracking

_SIZES = (100, 10, 1)
_OLDEST_FIRST = "timestamp_ms ASC"
_LINKS_SINCE = (3, 2)


class Evaluations:
    def __init__(self, server: Server, tracking: Tracking, files: Files) -> None:
        self._server, self._tracking, self._files = server, tracking, files
        self._calls = [self._of_3, self._of_2]
        self._has_scorers = self._has_datasets = True

    def traces(self, experiment: ExperimentRecord) -> Iterator[TraceRecord]:
        """Read traces as MLflow 3 returns them, or else as MLflow 2.14 and later do."""
        while self._calls:
            found = self._calls[0](experiment)
            try:
                first = next(found, None)
            except LostError as error:
                if not is_absent(error):
                    raise
                del self._calls[0]
                continue
            if first is not None:
                yield from self._with_links(experiment, chain([first], found))
            return
        self._server.lacks(Entity.TRACE)

    def spans(self, trace: TraceRecord) -> bytes | None:
        """Return the trace's spans as `traces.json`, wherever the server keeps them."""
        owner = f"trace {trace.id}"
        try:
            content = self._spans(trace)
        except LostError as error:
            if trace.state != evaluation_records.IN_PROGRESS:
                self._server.lost(Entity.TRACE, owner, "its spans can't be read", error)
            return None
        self._files.attachments.expect(trace, content)
        return content

    def scorers(self, experiment: ExperimentRecord) -> Iterator[ScorerRecord]:
        if self._server.version < (3,) or not self._has_scorers:
            return
        if experiment.deleted:
            self._server.note(
                Entity.SCORER, "server", "MLflow's API does not return the scorers of deleted experiments"
            )
            return
        owner = f"experiment {experiment.name}"
        try:
            for name in self._scorer_names(experiment):
                query = {"experiment_id": experiment.id, "name": name}
                with self._server.losing(Entity.SCORER, owner, f"the versions of scorer {name} can't be read"):
                    got, _ = page(self._server.rest.get(f"{API_3}/scorers/versions", query), "scorers")
                    found = self._server.decoded(got, records.scorer, Entity.SCORER, owner)
                    yield from sorted(found, key=lambda one: one.version)
        except LostError as error:
            if is_absent(error):
                self._has_scorers = False
                self._server.lacks(Entity.SCORER)
            else:
                self._server.lost(Entity.SCORER, owner, "its scorers can't be read", error)

    def datasets(self) -> Iterator[EvaluationDatasetRecord]:
        def ask(token: str, size: int) -> Fetched:
            body = said({"max_results": size, "page_token": token})
            return page(self._server.rest.post(f"{API_3}/datasets/search", body), "datasets")

        def decode(got: Json) -> EvaluationDatasetRecord:
            return evaluation_records.evaluation_dataset(got, ())

        if self._server.version < (3,):
            return
        try:
            for dataset in self._server.listed(ask, decode, Entity.EVALUATION_DATASET, "server", _SIZES):
                yield replace(dataset, experiment_ids=self._experiments_of(dataset))
        except LostError:
            self._server.lacks(Entity.EVALUATION_DATASET)

    def rows(self, dataset: EvaluationDatasetRecord) -> Iterator[EvaluationRowRecord]:
        def ask(token: str, size: int) -> Fetched:
            query = said({"max_results": size, "page_token": token})
            got = self._server.rest.get(f"{API_3}/datasets/{dataset.id}/records", query)
            return _rows(got), str(got.get("next_page_token") or "")

        decode = evaluation_records.evaluation_row
        owner = f"evaluation dataset {dataset.name}"
        with self._server.losing(Entity.EVALUATION_ROW, owner, "its rows can't be read"):
            yield from self._server.listed(ask, decode, Entity.EVALUATION_ROW, owner, announced=_announced(dataset))

    def _of_3(self, experiment: ExperimentRecord, chosen: str = "") -> Iterator[TraceRecord]:
        place = {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": experiment.id}}

        def ask(token: str, size: int) -> Fetched:
            body = {"locations": [place], "filter": chosen, "max_results": size, "order_by": [_OLDEST_FIRST]}
            got = self._server.rest.post(f"{API_3}/traces/search", said({**body, "page_token": token}))
            return page(got, "traces")

        owner = f"experiment {experiment.name}"
        yield from self._server.listed(ask, evaluation_records.trace, Entity.TRACE, owner, _SIZES)

    def _of_2(self, experiment: ExperimentRecord) -> Iterator[TraceRecord]:
        def ask(token: str, size: int) -> Fetched:
            query = {"experiment_ids": experiment.id, "max_results": size, "order_by": _OLDEST_FIRST}
            got = self._server.rest.get(f"{API}/traces", said({**query, "page_token": token}))
            return page(got, "traces")

        owner = f"experiment {experiment.name}"
        yield from self._server.listed(ask, evaluation_records.trace_of_2, Entity.TRACE, owner, _SIZES)

    def _with_links(self, experiment: ExperimentRecord, traces: Iterator[TraceRecord]) -> Iterator[TraceRecord]:
        """Add the runs that traces were linked to later. Only a search by run says that."""
        links: dict[str, list[str]] = {}
        if self._server.version >= _LINKS_SINCE:
            for run_id, found in self._server.workers.each(
                lambda run_id: self._linked_to(experiment, run_id), self._tracking.run_ids(experiment)
            ):
                for trace_id in found:
                    links.setdefault(trace_id, []).append(run_id)
        for trace in traces:
            linked = links.get(trace.id)
            yield replace(trace, run_ids=tuple(linked)) if linked else trace

    def _linked_to(self, experiment: ExperimentRecord, run_id: str) -> list[str]:
        found = self._of_3(experiment, f"attribute.run_id = '{run_id}'")
        return [trace.id for trace in found if trace.metadata.get("mlflow.sourceRun") != run_id]

    def _spans(self, trace: TraceRecord) -> bytes:
        try:
            with open_file(self._server.rest, f"{AJAX}/get-trace-artifact", {"request_id": trace.id}) as file:
                return file.read(limits.MAX_TRACE_BYTES + 1)
        except LostError as error:
            if not is_absent(error):
                raise
        content = self._files.content_at(trace.artifact_uri or "", SPANS, f"trace {trace.id}")
        if content is None:
            raise LostError(f"There is no {SPANS} at {trace.artifact_uri}.")
        return content

    def _scorer_names(self, experiment: ExperimentRecord) -> list[str]:
        got = self._server.rest.get(f"{API_3}/scorers/list", {"experiment_id": experiment.id})
        return [str(one["scorer_name"]) for one in page(got, "scorers")[0]]

    def _experiments_of(self, dataset: EvaluationDatasetRecord) -> tuple[str, ...]:
        try:
            got = self._server.rest.get(f"{API_3}/datasets/{dataset.id}/experiment-ids")
        except LostError as error:
            owner = f"evaluation dataset {dataset.name}"
            self._server.lost(Entity.EVALUATION_DATASET, owner, "its experiments can't be read", error)
            return ()
        return tuple(str(one) for one in got.get("experiment_ids") or ())


def _rows(got: Json) -> list[Json]:
    """Read the records of a dataset, which MLflow sends as JSON text inside of JSON."""
    try:
        found = records.json_text(got.get("records")) or []
    except ValueError as error:
        raise LostError("The server returned rows that are not JSON.", passing=True) from error
    return found if isinstance(found, list) else []


def _announced(dataset: EvaluationDatasetRecord) -> int | None:
    try:
        return int(json.loads(dataset.profile or "{}").get("num_records"))
    except (AttributeError, TypeError, ValueError):
        return None
