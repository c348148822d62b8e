"""The route table of MLflow's API: method, path, handler, and the access it needs. One screen."""

from flask import Flask

from mltrail_server.domain.identity import Access
from mltrail_server.http.routes import Route, mount
from mltrail_server.services.deps import Deps

from . import experiments, logging, runs, search

READ, WRITE = Access.READ, Access.WRITE

TRACKING = (
    Route("POST", "experiments/create", experiments.create, WRITE),
    Route("GET", "experiments/get", experiments.get, READ),
    Route("GET", "experiments/get-by-name", experiments.get_by_name, READ),
    Route("POST", "experiments/update", experiments.update, WRITE),
    Route("POST", "experiments/delete", experiments.delete, WRITE),
    Route("POST", "experiments/restore", experiments.restore, WRITE),
    Route("POST", "experiments/set-experiment-tag", experiments.set_tag, WRITE),
    Route("POST", "experiments/delete-experiment-tag", experiments.delete_tag, WRITE),
    Route("POST", "experiments/search", search.search_experiments, READ),
    Route("GET", "experiments/search", search.search_experiments, READ),
    Route("POST", "runs/create", runs.create, WRITE),
    Route("GET", "runs/get", runs.get, READ),
    Route("POST", "runs/update", runs.update, WRITE),
    Route("POST", "runs/delete", runs.delete, WRITE),
    Route("POST", "runs/restore", runs.restore, WRITE),
    Route("POST", "runs/search", search.runs, READ),
    Route("POST", "runs/log-metric", logging.log_metric, WRITE),
    Route("POST", "runs/log-parameter", logging.log_param, WRITE),
    Route("POST", "runs/set-tag", logging.set_tag, WRITE),
    Route("POST", "runs/delete-tag", logging.delete_tag, WRITE),
    Route("POST", "runs/log-batch", logging.log_batch, WRITE),
    Route("POST", "runs/log-inputs", logging.log_inputs, WRITE),
    Route("GET", "metrics/get-history", search.history, READ),
)

BASE = "/api/v4/projects/<project:project>/ml/mlflow"
PREFIXES = ("/api/2.0/mlflow/", "/ajax-api/2.0/mlflow/", "/api/2.0/preview/mlflow/")


def mount_all(app: Flask, deps: Deps) -> None:
    for prefix in PREFIXES:
        mount(app, deps, name=f"mlflow:{prefix}", prefix=BASE + prefix, routes=TRACKING)
