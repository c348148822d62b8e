"""Experiments, runs and logged models."""

from collections import deque
from collections.abc import Iterator
from dataclasses import replace

from mltrail_server.domain.batches import batches
from mltrail_server.domain.transfer import (
    Entity,
    ExperimentRecord,
    LoggedModelRecord,
    RunRecord,
)
from mltrail_server.sources.http import LostError
from mltrail_server.sources.reading import Fetched, is_absent, page, said

from . import records
from .server import API, EXPERIMENTS, Server

_RUNS = (500, 50, 5, 1)
_REMEMBERED = 2000
_MOST_EXPERIMENTS = 100


class Tracking:
    """Reads runs oldest first, so that runs that begin meanwhile come last and move no page."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._has_logged_models: bool | None = None
        self._linked: dict[str, set[str]] = {}
        """Logged models that an experiment's runs name: the only way to those that are deleted."""
        self._run_ids: dict[str, list[str]] = {}

    def experiments(self) -> Iterator[ExperimentRecord]:
        def ask(token: str, size: int) -> Fetched:
            body = {"max_results": size, "view_type": "ALL", "order_by": ["experiment_id ASC"], "page_token": token}
            return page(self._server.rest.post(EXPERIMENTS, said(body)), "experiments")

        yield from self._server.listed(ask, records.experiment, Entity.EXPERIMENT, "server", (1000, 100, 10, 1))

    def runs(self, experiment: ExperimentRecord) -> Iterator[RunRecord]:
        def ask(token: str, size: int) -> Fetched:
            body = {
                "experiment_ids": [experiment.id],
                "run_view_type": "ALL",
                "max_results": size,
                "order_by": ["attribute.start_time ASC"],
                "page_token": token,
            }
            return page(self._server.rest.post(f"{API}/runs/search", said(body)), "runs")

        owner = f"experiment {experiment.name}"
        found = self._server.listed(ask, records.run, Entity.RUN, owner, _RUNS)
        linked: set[str] = set()
        run_ids: list[str] = []
        for run in self._with_models(_once(found)):
            linked.update(link.model_id for link in (*run.model_inputs, *run.model_outputs))
            run_ids.append(run.id)
            yield run
        self._linked[experiment.id], self._run_ids[experiment.id] = linked, run_ids

    def run_ids(self, experiment: ExperimentRecord) -> list[str]:
        """Return the IDs of an experiment's runs. The first call after they were read does not ask again."""
        known = self._run_ids.pop(experiment.id, None)
        return [run.id for run in self.runs(experiment)] if known is None else known

    def logged_models(self, experiment: ExperimentRecord) -> Iterator[LoggedModelRecord]:
        linked = self._linked.pop(experiment.id, set())
        if not self._has_models():
            return

        def ask(token: str, size: int) -> Fetched:
            body = {
                "experiment_ids": [experiment.id],
                "max_results": size,
                "order_by": [{"field_name": "creation_timestamp", "ascending": True}],
                "page_token": token,
            }
            return page(self._server.rest.post(f"{API}/logged-models/search", said(body)), "models")

        owner = f"experiment {experiment.name}"
        for model in self._server.listed(ask, records.logged_model, Entity.LOGGED_MODEL, owner, (50, 5, 1)):
            linked.discard(model.id)
            yield model
        for model_id in sorted(linked):
            deleted = self._deleted(model_id)
            if deleted is not None and deleted.experiment_id == experiment.id:
                yield deleted

    def _with_models(self, runs: Iterator[RunRecord]) -> Iterator[RunRecord]:
        """Add the logged models that MLflow's search leaves out: those that a run has read and, before about 3.6, also
        those that it has made.
        """
        if not self._has_models():
            yield from runs
            return
        for run, whole in self._server.workers.each(self._get, runs):
            if isinstance(whole, LostError):
                self._server.lost(Entity.LOGGED_MODEL, f"run {run.id}", "the models that it used are missing", whole)
                yield run
            else:
                yield replace(run, model_inputs=whole.model_inputs, model_outputs=whole.model_outputs)

    def _get(self, run: RunRecord) -> RunRecord | LostError:
        try:
            return records.run(self._server.rest.get(f"{API}/runs/get", {"run_id": run.id})["run"])
        except LostError as error:
            return error
        except (KeyError, TypeError, ValueError):
            return LostError("The server's response can't be read.")

    def _has_models(self) -> bool:
        """Whether there is any logged model: they came with MLflow 3, and many servers have none."""
        if self._has_logged_models is None:
            self._has_logged_models = self._server.version >= (3,) and self._finds_models()
        return self._has_logged_models

    def _finds_models(self) -> bool:
        ids = [experiment.id for experiment in self.experiments()]
        try:
            for some in batches(ids, _MOST_EXPERIMENTS):
                body = {"experiment_ids": some, "max_results": 1}
                if self._server.rest.post(f"{API}/logged-models/search", body).get("models"):
                    return True
        except LostError as error:
            if not is_absent(error):
                return True
            self._server.lacks(Entity.LOGGED_MODEL)
        return False

    def _deleted(self, model_id: str) -> LoggedModelRecord | None:
        try:
            got = self._server.rest.get(f"{API}/logged-models/{model_id}", {"allow_deleted": "true"})["model"]
            return records.logged_model(got, deleted=True)
        except (LostError, KeyError, TypeError, ValueError):
            return None  # it may be gone for good; the run still names it


def _once(runs: Iterator[RunRecord]) -> Iterator[RunRecord]:
    """Leave out runs that come again at the beginning of the next page because another one was inserted before."""
    recent: deque[str] = deque(maxlen=_REMEMBERED)
    known: set[str] = set()
    for run in runs:
        if run.id in known:
            continue
        if len(recent) == _REMEMBERED:
            known.discard(recent[0])
        recent.append(run.id)
        known.add(run.id)
        yield run
