"""The route table of MLflow's API: method, path, handler, and the access it needs. One screen.

What trainings call is loaded from the start, and shared by all web processes; the rest with its first call.
"""

from typing import TYPE_CHECKING

from mltrail_server.domain.identity import Access
from mltrail_server.http.project_app import ProjectApp
from mltrail_server.http.routes import Route, mount
from mltrail_server.later import later
from mltrail_server.services.context.deps import Deps

from . import artifacts, experiments, logging, runs, search
from .wire import OTLP_PATH

if TYPE_CHECKING:
    from . import (
        about,
        assessments,
        datasets,
        evaluation_datasets,
        histories,
        lists,
        logged_models,
        model_versions,
        otlp,
        registered_models,
        scorers,
        single_files,
        spans,
        traces,
        transfers,
    )
else:
    (
        about,
        assessments,
        datasets,
        evaluation_datasets,
        histories,
        lists,
        logged_models,
        model_versions,
        otlp,
        registered_models,
        scorers,
        single_files,
        spans,
        traces,
        transfers,
    ) = later(
        __package__,
        "about",
        "assessments",
        "datasets",
        "evaluation_datasets",
        "histories",
        "lists",
        "logged_models",
        "model_versions",
        "otlp",
        "registered_models",
        "scorers",
        "single_files",
        "spans",
        "traces",
        "transfers",
    )

READ, WRITE, READ_TRACES = Access.READ, Access.WRITE, Access.READ_TRACES

TRACKING = (
    Route("POST", "experiments/create", experiments.create, WRITE),
    Route("GET", "experiments/get", experiments.get, READ),
    Route("GET", "experiments/get-by-name", experiments.get_by_name, READ),
    Route("POST", "experiments/update", experiments.update, WRITE),
    Route("POST", "experiments/delete", experiments.delete, WRITE),
    Route("POST", "experiments/restore", experiments.restore, WRITE),
    Route("POST", "experiments/set-experiment-tag", experiments.set_tag, WRITE),
    Route("POST", "experiments/delete-experiment-tag", experiments.delete_tag, WRITE),
    Route("POST", "experiments/search", search.search_experiments, READ, slow=True),
    Route("GET", "experiments/search", search.search_experiments, READ, slow=True),
    Route("GET", "experiments/list", lists.of_experiments, READ, slow=True),
    Route("POST", "experiments/search-datasets", datasets.search, READ, slow=True),
    Route("POST", "runs/create", runs.create, WRITE),
    Route("GET", "runs/get", runs.get, READ),
    Route("POST", "runs/update", runs.update, WRITE),
    Route("POST", "runs/delete", runs.delete, WRITE),
    Route("POST", "runs/restore", runs.restore, WRITE),
    Route("POST", "runs/search", search.runs, READ, slow=True),
    Route("POST", "runs/log-metric", logging.log_metric, WRITE),
    Route("POST", "runs/log-parameter", logging.log_param, WRITE),
    Route("POST", "runs/set-tag", logging.set_tag, WRITE),
    Route("POST", "runs/delete-tag", logging.delete_tag, WRITE),
    Route("POST", "runs/log-batch", logging.log_batch, WRITE),
    Route("POST", "runs/log-inputs", logging.log_inputs, WRITE),
    Route("GET", "metrics/get-history", search.history, READ, slow=True),
    Route("GET", "metrics/get-history-bulk", histories.bulk, READ, slow=True),
    Route("GET", "metrics/get-history-bulk-interval", histories.interval, READ, slow=True),
    Route("POST", "runs/outputs", logged_models.outputs, WRITE),
    Route("POST", "runs/log-model", logged_models.log_model, WRITE),
    Route("GET", "artifacts/list", artifacts.listing_of_run, READ),
    Route("POST", "artifacts/presigned-upload-url", transfers.not_here, WRITE),
    Route("POST", "artifacts/presigned-download-url", transfers.presigned_of_run, READ),
    Route("GET", "get-artifact", single_files.of_run, READ),
    Route("POST", "upload-artifact", single_files.upload, WRITE),
    Route("POST", "logged-models", logged_models.create, WRITE),
    Route("POST", "logged-models/search", logged_models.search, READ, slow=True),
    Route("GET", "logged-models/<model_id>", logged_models.get, READ),
    Route("PATCH", "logged-models/<model_id>", logged_models.finish, WRITE),
    Route("DELETE", "logged-models/<model_id>", logged_models.delete, WRITE),
    Route("PATCH", "logged-models/<model_id>/tags", logged_models.set_tags, WRITE),
    Route("DELETE", "logged-models/<model_id>/tags/<path:tag_key>", logged_models.delete_tag, WRITE),
    Route("POST", "logged-models/<model_id>/params", logged_models.add_params, WRITE),
    Route("GET", "logged-models/<model_id>/artifacts/directories", logged_models.folder, READ),
    Route("GET", "logged-models/<model_id>/artifacts/files", single_files.of_logged_model, READ),
)

REGISTRY = (
    Route("POST", "registered-models/create", registered_models.create, WRITE),
    Route("POST", "registered-models/rename", registered_models.rename, WRITE),
    Route("PATCH", "registered-models/update", registered_models.update, WRITE),
    Route("DELETE", "registered-models/delete", registered_models.delete, WRITE),
    Route("GET", "registered-models/get", registered_models.get, READ),
    Route("GET", "registered-models/list", lists.of_models, READ, slow=True),
    Route("GET", "registered-models/search", registered_models.search, READ, slow=True),
    Route("POST", "registered-models/search", registered_models.search, READ, slow=True),  # by R's client
    Route("GET", "registered-models/get-latest-versions", registered_models.get_latest_versions, READ, slow=True),
    Route("POST", "registered-models/get-latest-versions", registered_models.get_latest_versions, READ, slow=True),
    Route("POST", "registered-models/set-tag", registered_models.set_tag, WRITE),
    Route("DELETE", "registered-models/delete-tag", registered_models.delete_tag, WRITE),
    Route("POST", "registered-models/alias", registered_models.set_alias, WRITE),
    Route("DELETE", "registered-models/alias", registered_models.delete_alias, WRITE),
    Route("GET", "registered-models/alias", registered_models.get_by_alias, READ),
    Route("POST", "model-versions/create", model_versions.create, WRITE),
    Route("PATCH", "model-versions/update", model_versions.update, WRITE),
    Route("POST", "model-versions/transition-stage", model_versions.transition_stage, WRITE),
    Route("DELETE", "model-versions/delete", model_versions.delete, WRITE),
    Route("GET", "model-versions/get", model_versions.get, READ),
    Route("GET", "model-versions/search", model_versions.search, READ, slow=True),
    Route("GET", "model-versions/get-download-uri", model_versions.get_download_uri, READ),
    Route("GET", "model-versions/get-artifact", single_files.of_version, READ),
    Route("POST", "model-versions/set-tag", model_versions.set_tag, WRITE),
    Route("DELETE", "model-versions/delete-tag", model_versions.delete_tag, WRITE),
)

EVALUATION = (
    Route("POST", "traces/<trace_id>/assessments", assessments.create, WRITE),
    Route("GET", "traces/<trace_id>/assessments/<assessment_id>", assessments.get, READ_TRACES),
    Route("PATCH", "traces/<trace_id>/assessments/<assessment_id>", assessments.update, WRITE),
    Route("DELETE", "traces/<trace_id>/assessments/<assessment_id>", assessments.delete, WRITE),
    Route("POST", "datasets/create", evaluation_datasets.create, WRITE),
    Route("POST", "datasets/search", evaluation_datasets.search, READ, slow=True),
    Route("GET", "datasets/search", evaluation_datasets.search, READ, slow=True),
    Route("GET", "datasets/<dataset_id>", evaluation_datasets.get, READ),
    Route("DELETE", "datasets/<dataset_id>", evaluation_datasets.delete, WRITE),
    Route("PATCH", "datasets/<dataset_id>/tags", evaluation_datasets.set_tags, WRITE),
    Route("DELETE", "datasets/<dataset_id>/tags/<path:key>", evaluation_datasets.delete_tag, WRITE),
    Route("GET", "datasets/<dataset_id>/experiment-ids", evaluation_datasets.experiment_ids, READ),
    Route("POST", "datasets/<dataset_id>/add-experiments", evaluation_datasets.add_experiments, WRITE),
    Route("POST", "datasets/<dataset_id>/remove-experiments", evaluation_datasets.remove_experiments, WRITE),
    Route("POST", "datasets/<dataset_id>/records", evaluation_datasets.upsert_records, WRITE),
    Route("GET", "datasets/<dataset_id>/records", evaluation_datasets.list_records, READ_TRACES, slow=True),
    Route("DELETE", "datasets/<dataset_id>/records", evaluation_datasets.delete_records, WRITE),
    Route("POST", "scorers/register", scorers.register, WRITE),
    Route("GET", "scorers/list", scorers.listing, READ),
    Route("GET", "scorers/versions", scorers.versions, READ),
    Route("GET", "scorers/get", scorers.get, READ),
    Route("DELETE", "scorers/delete", scorers.delete, WRITE),
    Route("GET", "scorers/online-configs", scorers.online_configs, READ),
    Route("PUT", "scorers/online-config", scorers.set_online_config, WRITE),
)

TRACES = (
    Route("POST", "traces", traces.start, WRITE),
    Route("POST", "traces/search", traces.find, READ_TRACES, slow=True),
    Route("POST", "traces/calculate-filter-correlation", traces.correlation, READ_TRACES, slow=True),
    Route("POST", "traces/metrics", traces.metrics, READ_TRACES),
    Route("GET", "traces/<trace_id>", traces.get, READ_TRACES),
    Route("GET", "traces/get", spans.get, READ_TRACES, slow=True),
    Route("GET", "traces/batchGet", spans.batch_get, READ_TRACES, slow=True),
    Route("POST", "traces/batchGetInfos", traces.batch_get_infos, READ_TRACES),
    Route("PATCH", "traces/<trace_id>/tags", traces.set_tag, WRITE),
    Route("DELETE", "traces/<trace_id>/tags", traces.delete_tag, WRITE),
    Route("POST", "traces/delete-traces", traces.delete, WRITE),
)

TRACES_OF_2 = (
    Route("GET", "traces", traces.find_v2, READ_TRACES, slow=True),
    Route("POST", "traces", traces.start_v2, WRITE),
    Route("PATCH", "traces/<trace_id>", traces.end_v2, WRITE),
    Route("GET", "traces/<trace_id>/info", traces.get_v2, READ_TRACES),
    Route("PATCH", "traces/<trace_id>/tags", traces.set_tag, WRITE),
    Route("DELETE", "traces/<trace_id>/tags", traces.delete_tag, WRITE),
    Route("POST", "traces/delete-traces", traces.delete, WRITE),
    Route("POST", "traces/link-to-run", traces.link_to_run, WRITE),
    Route("POST", "traces/link-prompts", traces.link_prompts, WRITE),
)

FILES = (
    Route("GET", "artifacts", artifacts.listing, READ),
    Route("GET", "artifacts/<path:path>", artifacts.download, READ),
    Route("PUT", "artifacts/<path:path>", artifacts.upload, WRITE),
    Route("DELETE", "artifacts/<path:path>", artifacts.delete, WRITE),
    Route("POST", "mpu/create/<path:path>", transfers.begin, WRITE),
    Route("POST", "mpu/complete/<path:path>", transfers.complete, WRITE),
    Route("POST", "mpu/abort/<path:path>", transfers.abort, WRITE),
    Route("GET", "presigned/<path:path>", transfers.presigned, READ),
)

ABOUT = (
    Route("GET", "/api/3.0/mlflow/server-info", about.server_info, READ),
    Route("GET", "/ajax-api/3.0/mlflow/server-info", about.server_info, READ),
    Route("GET", "/get-artifact", single_files.of_run, READ),
    Route("GET", "/model-versions/get-artifact", single_files.of_version, READ),
    # MLflow's protocol says so, without the slash.
    Route("POST", "/api/2.0mlflow/experiments/search-datasets", datasets.search, READ, slow=True),
    Route("POST", OTLP_PATH, otlp.receive, WRITE),
    Route("GET", "/ajax-api/2.0/mlflow/get-trace-artifact", artifacts.of_trace, READ_TRACES),
    Route("GET", "/ajax-api/3.0/mlflow/get-trace-artifact", artifacts.of_trace, READ_TRACES),
    Route("GET", "/version", about.version, READ),
    Route("GET", "/health", about.health, READ),
)

BASE = "/api/v4/projects/<project:project>/ml/mlflow"
PREFIXES = ("/api/2.0/mlflow/", "/ajax-api/2.0/mlflow/", "/api/2.0/preview/mlflow/")
PREFIXES_OF_3 = ("/api/3.0/mlflow/", "/ajax-api/3.0/mlflow/")
FILE_PREFIXES = ("/api/2.0/mlflow-artifacts/", "/ajax-api/2.0/mlflow-artifacts/")


def mount_all(app: ProjectApp, deps: Deps) -> None:
    tables = (
        *((f"mlflow:{prefix}", prefix, (*TRACKING, *REGISTRY, *TRACES_OF_2)) for prefix in PREFIXES),
        *((f"mlflow:{prefix}", prefix, (*TRACES, *EVALUATION)) for prefix in PREFIXES_OF_3),
        *((f"files:{prefix}", prefix, FILES) for prefix in FILE_PREFIXES),
        ("about", "", ABOUT),
    )
    for name, prefix, routes in tables:
        mount(app, deps, name=name, prefix=BASE + prefix, routes=routes, short=True)
