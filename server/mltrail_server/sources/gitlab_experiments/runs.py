"""Experiments, runs and the histories of their metrics."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from mltrail_server.domain.model import experiment_name
from mltrail_server.domain.transfer import Entity, ExperimentRecord, ModelRecord, Point, RunRecord
from mltrail_server.sources.http import LostError
from mltrail_server.sources.mlflow_rest import records
from mltrail_server.sources.mlflow_rest.histories import Histories
from mltrail_server.sources.reading import Fetched, Json, is_absent, page, said

from .project import Project
from .registry import Registry

_OF_MODEL = experiment_name("")


class Runs:
    """Reads runs oldest first, so that runs that begin meanwhile come last and move no page."""

    def __init__(self, project: Project, registry: Registry) -> None:
        self._project, self._registry = project, registry
        self._histories: Histories | None = None
        self._has_histories: bool | None = None

    def experiments(self) -> Iterator[ExperimentRecord]:
        """Return the project's experiments, then those of its models that are not among them."""
        known: set[str] = set()
        of_models: set[str] = set()

        def ask(token: str, size: int) -> Fetched:
            if not self._project.searches_experiments:
                found, _ = page(self._project.gitlab.get(f"{self._project.mlflow}/experiments/list"), "experiments")
                return list(reversed(found)), ""  # the newest is first
            body = said({"max_results": size, "order_by": "id ASC", "page_token": token})
            path = f"{self._project.mlflow}/experiments/search"
            return page(self._project.gitlab.post(path, body), "experiments")

        for experiment in self._project.listed(ask, _experiment, Entity.EXPERIMENT, "project", (1000, 100, 10, 1)):
            known.add(experiment.id)
            if experiment.name.startswith(_OF_MODEL):
                model_name = experiment.name.removeprefix(_OF_MODEL)
                self._project.models_of[experiment.id] = model_name
                of_models.add(model_name)
            yield experiment
        for model in self._registry.models():
            if model.name not in of_models:
                with self._project.losing(Entity.EXPERIMENT, f"model {model.name}", "its experiment can't be read"):
                    found = self._of_model(model)
                    self._project.models_of[found.id] = model.name
                    if found.id not in known:
                        known.add(found.id)
                        yield found

    def _of_model(self, model: ModelRecord) -> ExperimentRecord:
        """Read a model's own experiment: by its name, or else as that of one of the model's versions."""
        try:
            found = self._get("experiments/get-by-name", {"experiment_name": experiment_name(model.name)}, "experiment")
        except LostError:
            run_id = next((one.run_id for one in self._registry.versions(model) if one.run_id), None)
            if run_id is None:
                raise
            run = records.run(self._get("runs/get", {"run_id": run_id}, "run"))
            found = self._get("experiments/get", {"experiment_id": run.experiment_id}, "experiment")
        return _experiment(found)

    def of(self, experiment: ExperimentRecord) -> Iterator[RunRecord]:
        def ask(token: str, size: int) -> Fetched:
            body = said(
                {
                    "experiment_ids": [experiment.id],
                    "max_results": size,
                    "order_by": "created_at ASC",
                    "page_token": token,
                }
            )
            return page(self._project.gitlab.post(f"{self._project.mlflow}/runs/search", body), "runs")

        owner = f"experiment {experiment.name}"
        yield from self._project.listed(ask, self._run, Entity.RUN, owner, (1000, 100, 10, 1))

    def points(self, runs: Sequence[RunRecord]) -> Iterator[list[Point]]:
        """Return complete histories where GitLab gives them (since 18.11), else the newest values."""
        if self._tells_histories(runs):
            yield from self._complete().of(runs)
            return
        for run in runs:
            if run.latest:
                text = "this GitLab returns only the newest value of a metric; GitLab 18.11 and later return all"
                self._project.note(Entity.POINT, "project", text)
                yield list(run.latest)

    def _complete(self) -> Histories:
        if self._histories is None:
            self._histories = Histories(self._project, path=f"{self._project.mlflow}/metrics/get-history", bulk=False)
        return self._histories

    def _tells_histories(self, runs: Sequence[RunRecord]) -> bool:
        """Ask for one history: GitLab answers an unknown call differently from an unknown run or metric."""
        if self._has_histories is None:
            latest = next((point for run in runs for point in run.latest), None)
            if latest is None:
                return False
            query: dict[str, str | int] = {"run_id": latest[0], "metric_key": latest[1], "max_results": 1}
            try:
                self._project.gitlab.get(f"{self._project.mlflow}/metrics/get-history", query)
                self._has_histories = True
            except LostError as error:
                self._has_histories = not is_absent(error)
        return self._has_histories

    def _run(self, got: Json) -> RunRecord:
        run = records.run(got)
        newest_only = bool(run.latest) and not self._tells_histories([run])
        return replace(run, user=self._project.user_name(run.user), newest_only=newest_only)

    def _get(self, path: str, query: dict[str, str], key: str) -> Json:
        found = self._project.gitlab.get(f"{self._project.mlflow}/{path}", query).get(key)
        if not isinstance(found, dict):
            raise LostError(f"The response to {path} has no {key}.")
        return found


def _experiment(got: Json) -> ExperimentRecord:
    """GitLab's experiments have no times, and no place for files."""
    return replace(records.experiment(got), artifact_location=None)
