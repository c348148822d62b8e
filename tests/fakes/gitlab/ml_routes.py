"""GitLab's own experiments, runs and models, over its MLflow API: what a reader of them asks for.

It is read with GitLab's own oddities: Grape refuses parameters of another type, of several experiments only the first
counts, and a token that may not write can't search.
https://docs.gitlab.com/user/project/ml/experiment_tracking/mlflow_client/
"""

import base64
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from flask import Flask, Response, jsonify, request
from werkzeug.exceptions import abort

from . import ml_shapes
from .door import DEVELOPER, Door, missing, unknown
from .ml_state import Ml
from .state import Project

if TYPE_CHECKING:
    from .fake import FakeGitLab

BASE = "/api/v4/projects/<project:ref>/ml/mlflow/api/2.0"
_MOST = 1000
T = TypeVar("T")


def mount(app: Flask, fake: "FakeGitLab", door: Door) -> None:
    _mount_experiments(app, fake, door)
    _mount_runs(app, fake, door)
    _mount_models(app, fake, door)

    @app.route(f"{BASE}/<path:rest>", methods=["GET", "POST"])
    def other_ml_url(ref: str, rest: str) -> NoReturn:
        del ref, rest
        unknown()


def readable(door: Door, ref: str, *, writes: bool = False) -> Project:
    """The project, if the caller may use its experiments. GitLab says 401, not 403, to those who may not write."""
    door.caller()
    project = door.project(ref)
    if project.features == "disabled":
        missing("Not Found")
    if writes and door.level(project) < DEVELOPER:
        abort(401, "401 Unauthorized")
    return project


def absent() -> NoReturn:
    _refuse(404, error_code="RESOURCE_DOES_NOT_EXIST")


def _refuse(status: int, **body: str) -> NoReturn:
    answer = jsonify(**body)
    answer.status_code = status
    abort(answer)


def _given() -> dict[str, Any]:
    return request.get_json(silent=True) or {} if request.method == "POST" else request.args.to_dict()


def _text(name: str, default: str = "") -> str:
    """A parameter that is declared as a String."""
    value = _given().get(name, default)
    if not isinstance(value, str):
        _refuse(400, error=f"{name} is invalid")
    return value


def _needed(name: str) -> str:
    return _text(name) or _refuse(400, error=f"{name} is missing")


def _page(items: Sequence[T], key: str, shown: Callable[[T], Any], size: int = 200) -> Response:
    """A page, and a token that leads to the next one; null after the last."""
    given = str(_given().get("max_results", size))
    if not given.isdigit():
        _refuse(400, error="max_results is invalid")
    token = _text("page_token")
    start = int(base64.b64decode(token)) if token else 0
    end = start + min(int(given), _MOST)
    following = base64.b64encode(str(end).encode()).decode() if end < len(items) else None
    return jsonify({key: [shown(one) for one in items[start:end]], "next_page_token": following})


def _ordered(items: Sequence[T], columns: dict[str, Callable[[T], Any]], default: str) -> list[T]:
    column, _, direction = _text("order_by", default).partition(" ")
    by = columns.get(column)
    return sorted(items, key=by or columns["id"], reverse=by is None or direction.lower() == "desc")


def _mount_experiments(app: Flask, fake: "FakeGitLab", door: Door) -> None:
    base = f"{BASE}/mlflow/experiments"

    def listed(ml: Ml) -> list[Any]:
        shown = ml.experiments.values()
        return [one for one in shown if ml.lists_experiments_of_models or not one.name.startswith("[model]")]

    @app.get(f"{base}/list")
    def ml_experiments(ref: str) -> dict[str, Any]:
        found = listed(readable(door, ref).ml)
        return {"experiments": [ml_shapes.experiment(one) for one in reversed(found)]}

    @app.post(f"{base}/search")
    def search_experiments(ref: str) -> Response:
        if not fake.since("16.8"):  # at the latest
            unknown()
        found = listed(readable(door, ref, writes=True).ml)
        columns: dict[str, Callable[[Any], Any]] = {"name": lambda one: one.name, "id": lambda one: one.iid}
        columns["created_at"] = columns["id"]
        return _page(_ordered(found, columns, "created_at DESC"), "experiments", ml_shapes.experiment)

    @app.get(f"{base}/get")
    def ml_experiment(ref: str) -> dict[str, Any]:
        number = _text("experiment_id")
        found = readable(door, ref).ml.experiments.get(int(number) if number.isdigit() else 0)
        return {"experiment": ml_shapes.experiment(found or absent())}

    @app.get(f"{base}/get-by-name")
    def experiment_by_name(ref: str) -> dict[str, Any]:
        found = readable(door, ref).ml.experiment_named(_text("experiment_name"))
        return {"experiment": ml_shapes.experiment(found or absent())}


def _mount_runs(app: Flask, fake: "FakeGitLab", door: Door) -> None:
    base = f"{BASE}/mlflow"

    def shown(project: Project, one: Any) -> Any:
        return ml_shapes.run(fake.url, project, one, reads_files=fake.since("17.9"))

    def run_of(project: Project) -> Any:
        eid = _needed("run_id")
        return next((one for one in project.ml.runs.values() if one.eid == eid), None) or absent()

    @app.get(f"{base}/runs/get")
    def ml_run(ref: str) -> dict[str, Any]:
        project = readable(door, ref)
        return {"run": shown(project, run_of(project))}

    @app.post(f"{base}/runs/search")
    def search_runs(ref: str) -> Response:
        project = readable(door, ref, writes=True)
        ids = _given().get("experiment_ids")
        if not isinstance(ids, list):
            _refuse(400, error="experiment_ids is missing")
        if not ids or str(ids[0]) not in map(str, project.ml.experiments):
            absent()
        found = [one for one in project.ml.runs.values() if str(one.experiment_iid) == str(ids[0])]
        columns: dict[str, Callable[[Any], Any]] = {"name": lambda one: one.name, "id": lambda one: one.iid}
        columns["created_at"] = columns["id"]
        return _page(_ordered(found, columns, "created_at DESC"), "runs", lambda one: shown(project, one))

    @app.get(f"{base}/metrics/get-history")
    def metric_history(ref: str) -> Response:
        if not fake.since("18.11"):
            unknown()
        found = run_of(readable(door, ref))
        key = _needed("metric_key")
        values = sorted((one for one in found.values if one[0] == key), key=lambda one: (one[3], one[2]))
        return _page(values, "metrics", ml_shapes.metric, _MOST)


def _mount_models(app: Flask, fake: "FakeGitLab", door: Door) -> None:
    @app.get(f"{BASE}/mlflow/registered-models/search")
    def search_models(ref: str) -> Response:
        if not fake.since("16.8"):
            unknown()
        project = readable(door, ref)
        columns: dict[str, Callable[[Any], Any]] = {"name": lambda one: one.name, "id": lambda one: one.id}
        found = _ordered(list(project.ml.models.values()), columns, "name ASC")
        return _page(found, "registered_models", lambda one: ml_shapes.model(fake.url, project, project.ml, one))
