"""Everything that clients can ask of a history, as questions to any server that has it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from .asking import Question, Side, get, post

VIEWS = ("ALL", "ACTIVE_ONLY", "DELETED_ONLY")
API3 = "api/3.0/mlflow/"
PAGES_API = "ajax-api/2.0/mlflow/"
ROOT = ""

RUN_FILTERS = (
    ((1, 28), "metrics.loss > 0.4"),
    ((1, 28), "metrics.loss <= 0.5 and metrics.`val/loss` != 0.5"),
    ((1, 28), "metrics.odd > 1"),
    ((1, 28), "metrics.same = 2"),
    ((1, 28), "metrics.`f1 score` < 0.6"),
    ((1, 28), "params.seed = '3'"),
    ((1, 28), "params.seed != '3'"),
    ((1, 28), "params.lr LIKE '%a%'"),
    ((1, 28), "params.\"batch size\" ILIKE '%NULL%'"),
    ((1, 28), "tags.upper != 'plain' and tags.UPPER LIKE '%e%'"),
    ((1, 28), "tags.`mlflow.parentRunId` LIKE '%a%'"),
    ((1, 28), "tags.`mlflow.runName` = 'baseline'"),
    ((1, 28), "attributes.status = 'FAILED'"),
    ((1, 28), "attributes.status != 'FINISHED'"),
    ((1, 28), "attributes.start_time > 1700000000000"),
    ((2, 7), "attributes.end_time <= 1700000000000"),
    ((2, 7), "attributes.run_name LIKE '%copy 1%'"),
    ((2, 7), "attributes.user_id = 'ada'"),
    ((2, 7), "dataset.name = 'iris'"),
    ((3, 0), "dataset.digest IN ('00000000', '00000002')"),
    ((2, 7), "dataset.context = 'training'"),
    ((3, 0), "tags.`mlflow.note.content` IS NOT NULL"),
)
RUN_ORDERS: tuple[tuple[tuple[int, int], list[str]], ...] = (
    ((1, 28), []),
    ((1, 28), ["metrics.loss DESC"]),
    ((1, 28), ["metrics.odd"]),
    ((1, 28), ["metrics.`ends in NaN` DESC", "params.seed"]),
    ((1, 28), ["metrics.`only NaN`", "attributes.start_time DESC"]),
    ((1, 28), ["params.lr DESC"]),
    ((1, 28), ["tags.upper ASC", "attributes.start_time"]),
    ((1, 28), ["attributes.status", "attributes.end_time DESC"]),
)
TRACE_FILTERS = (
    "status = 'OK'",
    "status != 'OK'",
    "timestamp_ms > 1650000500000",
    "name LIKE '%e%'",
    "tags.lr = 'plain'",
    "request_metadata.lr LIKE '%a%'",
    "request_metadata.`mlflow.trace.session` = 's1'",
    "feedback.correct = 'true'",
    "expectation.relevance IS NOT NULL",
    "client_request_id LIKE '%a%'",
    "execution_time_ms > 10",
)


@dataclass
class Facts:
    """What there is on the old server: whom to ask about."""

    version: tuple[int, int]
    experiments: dict[str, str] = field(default_factory=dict)
    """By name, the lifecycle stage."""
    locations: dict[str, str] = field(default_factory=dict)
    """By name, the place of an experiment's files, if it is not the usual one."""
    runs: list[dict[str, Any]] = field(default_factory=list)
    models: list[str] = field(default_factory=list)
    versions: list[dict[str, Any]] = field(default_factory=list)
    logged_models: list[str] = field(default_factory=list)
    traces: list[dict[str, Any]] = field(default_factory=list)
    datasets: list[str] = field(default_factory=list)
    scorers: list[tuple[str, str]] = field(default_factory=list)
    """Experiment and name."""
    folders: dict[str, list[str]] = field(default_factory=dict)
    """Those of a run's files; the first one is its root."""
    files: list[tuple[str, str]] = field(default_factory=list)
    """Run and path."""

    def since(self, *version: int) -> bool:
        return self.version >= version


def learn(side: Side, version: tuple[int, int]) -> Facts:
    """Find out what a server has."""
    side.learn()
    facts = Facts(version)
    found = side.raw(post("experiments/search", view_type="ALL", max_results=1000, pages="experiments"))["body"]
    facts.experiments = {one["name"]: one["lifecycle_stage"] for one in found["experiments"]}
    places = {
        one["name"]: (one["artifact_location"], f"mlflow-artifacts:/{one['experiment_id']}")
        for one in found["experiments"]
    }
    facts.locations = {name: place for name, (place, usual) in places.items() if place != usual}
    ids = list(side.ids.values())
    all_runs = post("runs/search", experiment_ids=ids, run_view_type="ALL", max_results=1000, pages="runs")
    facts.runs = side.raw(all_runs)["body"]["runs"]
    _learn_files(side, facts)
    models = [get("registered-models/search", max_results=100, pages="registered_models")]
    if version >= (2, 21):  # prompts are listed only if they are asked for
        prompts = {"filter": "tags.`mlflow.prompt.is_prompt` = 'true'"}
        models.append(get("registered-models/search", max_results=100, pages="registered_models", **prompts))
    for question in models:
        facts.models += [one["name"] for one in side.raw(question)["body"].get("registered_models", [])]
    for name in facts.models:
        facts.versions += _versions_of(side, name)
    if version >= (3, 0):
        logged = post("logged-models/search", experiment_ids=ids, max_results=50, pages="models")
        facts.logged_models = [one["info"]["model_id"] for one in side.raw(logged)["body"].get("models", [])]
        places = [{"type": 1, "mlflow_experiment": {"experiment_id": one}} for one in ids]
        search = post("traces/search", api=API3, locations=places, max_results=100, pages="traces")
        facts.traces = side.raw(search)["body"].get("traces", [])
        sets = post("datasets/search", api=API3, experiment_ids=[], max_results=100, pages="datasets")
        for name, stage in facts.experiments.items():
            listed = get("scorers/list", api=API3, experiment_id=f"⟦{name}⟧") if stage == "active" else None
            scorers = side.raw(listed)["body"].get("scorers", []) if listed else []
            facts.scorers += [(name, one["scorer_name"]) for one in scorers]
        facts.datasets = [one["dataset_id"] for one in side.raw(sets)["body"].get("datasets", [])]
    elif version >= (2, 14):
        old = get("traces", experiment_ids=ids, max_results=100, pages="traces")
        facts.traces = side.raw(old)["body"].get("traces", [])
    return facts


def _learn_files(side: Side, facts: Facts) -> None:
    for run in [run["info"]["run_id"] for run in facts.runs if _is_rich(run)]:
        folders = [""]
        for folder in folders:
            within = {"path": folder} if folder else {}
            for one in side.raw(get("artifacts/list", run_id=run, **within))["body"].get("files", []):
                if one.get("is_dir"):
                    folders.append(one["path"])
                else:
                    facts.files.append((run, one["path"]))
        facts.folders[run] = folders


def _versions_of(side: Side, name: str) -> list[dict[str, Any]]:
    """Ask for each number, until ten in a row are missing: filters can't spell every name."""
    found, missing, number = [], 0, 0
    while missing < 10:
        number += 1
        answer = side.raw(get("model-versions/get", name=name, version=number))
        missing = 0 if answer["status"] == 200 else missing + 1
        if answer["status"] == 200:
            found.append(answer["body"]["model_version"])
    return found


def about(facts: Facts, *, histories: int | None = None) -> Iterator[Question]:
    """Ask about everything. `histories` limits for how many runs each metric's history is asked for by itself."""
    subjects: tuple[Callable[[Facts], Iterator[Question]], ...] = (
        _experiments,
        _runs,
        _files_of_runs,
        _models,
        _versions,
        _logged_models,
        _traces,
        _scorers,
        _datasets,
    )
    for subject in subjects:
        yield from subject(facts)
    yield from _histories(facts, histories)


def _experiments(facts: Facts) -> Iterator[Question]:
    for view in VIEWS:
        yield post("experiments/search", view_type=view, max_results=1000, pages="experiments")
        yield get("experiments/search", view_type=view, max_results=7, pages="experiments")
        for order in (["name"], ["name DESC"], ["experiment_id DESC"]):
            yield post("experiments/search", view_type=view, max_results=5, order_by=order, pages="experiments")
    for words in ("name LIKE '%a%'", "name ILIKE '%A%'", "name = 'churn'", "name != 'churn'", "tags.lr = 'plain'"):
        yield post("experiments/search", view_type="ALL", max_results=100, filter=words, pages="experiments")
    for name in facts.experiments:
        yield get("experiments/get", experiment_id=f"⟦{name}⟧")
        yield get("experiments/get-by-name", experiment_name=name)
    yield get("experiments/get-by-name", experiment_name="nobody's")


def _runs(facts: Facts) -> Iterator[Question]:
    everywhere = [f"⟦{name}⟧" for name in facts.experiments]
    for name in facts.experiments:
        search = {"experiment_ids": [f"⟦{name}⟧"], "pages": "runs"}
        yield post("runs/search", run_view_type="ALL", max_results=1000, **search)
        yield post("runs/search", run_view_type="DELETED_ONLY", max_results=100, **search)
    # Two experiments have half of all runs.
    most, others = everywhere[:2], everywhere[2:]
    for since, words in RUN_FILTERS:
        if facts.since(*since):
            yield post("runs/search", experiment_ids=others, filter=words, max_results=60)
    for since, order in RUN_ORDERS:
        if facts.since(*since):
            yield post("runs/search", experiment_ids=everywhere, order_by=order, max_results=60)
    yield post("runs/search", experiment_ids=others, filter="metrics.loss > 0.5", max_results=99, pages="runs")
    yield post("runs/search", experiment_ids=most, max_results=200, order_by=["metrics.loss"], pages="runs")
    yield post("runs/search", experiment_ids=others[:7], max_results=9, order_by=["params.seed"], pages="runs")
    for run in facts.runs:
        yield get("runs/get", run_id=run["info"]["run_id"])
    if facts.since(3, 0):
        yield post("experiments/search-datasets", experiment_ids=everywhere[:15], api=PAGES_API)


def _some(found: Sequence[Any], most: int) -> Sequence[Any]:
    return found[:: max(1, -(-len(found) // most))]


def _is_rich(run: dict[str, Any]) -> bool:
    return any(one["key"] == "odd" for one in run["data"].get("metrics", []))


def _histories(facts: Facts, most: int | None) -> Iterator[Question]:
    by_key: dict[str, list[str]] = {}
    for run in facts.runs:
        for one in run["data"].get("metrics", []):
            by_key.setdefault(one["key"], []).append(run["info"]["run_id"])
    rich = {run["info"]["run_id"] for run in facts.runs if _is_rich(run)}
    for key, runs in by_key.items():
        if facts.since(2, 7):
            for begin in range(0, len(runs), 70):
                some = runs[begin : begin + 70]
                yield get("metrics/get-history-bulk", api=PAGES_API, run_id=some, metric_key=key, max_results=25000)
        # Newer servers answer for many runs at once.
        alone = _some([run for run in runs if run in rich], (most or 15) if facts.since(2, 7) else 1000)
        alone = [*alone, *[run for run in runs if run not in rich][:most]]
        for run in alone:
            yield get("metrics/get-history", run_id=run, metric_key=key)
        if facts.since(3, 0):
            yield get("metrics/get-history", run_id=runs[0], metric_key=key, max_results=7, pages="metrics")


def _files_of_runs(facts: Facts) -> Iterator[Question]:
    for run, folders in facts.folders.items():
        for folder in folders:
            yield get("artifacts/list", run_id=run, **({"path": folder} if folder else {}))
    for run, path in facts.files:
        yield get("get-artifact", api=ROOT, run_uuid=run, path=path)
    for run in list(facts.folders)[:3]:
        yield get("artifacts/list", run_id=run, path="nothing")
        yield get("get-artifact", api=ROOT, run_uuid=run, path="nothing")


def _models(facts: Facts) -> Iterator[Question]:
    path, pages = "registered-models/search", "registered_models"
    yield get(path, max_results=100, pages=pages)
    yield get(path, max_results=3, pages=pages)
    yield get(path, max_results=100, order_by="name DESC", pages=pages)
    yield get(path, max_results=100, order_by="last_updated_timestamp DESC", pages=pages)
    for words in ("name LIKE 'ch%'", "name ILIKE '%CH%'", "name = 'churn'"):
        yield get(path, max_results=100, filter=words, pages=pages)
    if facts.since(2, 7):
        yield get(path, max_results=100, filter="tags.lr = 'plain'", pages=pages)
    if facts.since(2, 21):
        yield get(path, max_results=100, filter="tags.`mlflow.prompt.is_prompt` = 'true'", pages=pages)
    for name in (*facts.models, "nobody's"):
        yield get("registered-models/get", name=name)
        yield post("registered-models/get-latest-versions", name=name, pages="model_versions", keyed=True)
        stages = ["Production", "None"]
        latest = {"pages": "model_versions", "keyed": True}
        yield post("registered-models/get-latest-versions", name=name, stages=stages, **latest)
        for alias in _ALIASES if facts.since(2, 3) and name in facts.models else ():
            yield get("registered-models/alias", name=name, alias=alias)


_ALIASES = ("champion", "challenger", "a-b_c", "ÄÖ", "日本", "x" * 200, "UPPER", "upper", "production")


def _versions(facts: Facts) -> Iterator[Question]:
    path, pages = "model-versions/search", "model_versions"
    keyed = not facts.since(2, 0)  # MLflow 1 has no order for them
    yield get(path, max_results=1000, pages=pages, keyed=keyed)
    if facts.since(2, 7):
        yield get(path, max_results=7, order_by="name", pages=pages)
        yield get(path, max_results=100, order_by="version_number DESC", pages=pages)
        yield get(path, max_results=100, filter="tags.lr = 'plain'", pages=pages)
    for one in facts.versions:
        named = {"name": one["name"], "version": one["version"]}
        yield get("model-versions/get", **named)
        yield get("model-versions/get-download-uri", **named)
        if "bucket" not in one.get("source", "") and "prompt" not in one.get("source", ""):
            yield get("model-versions/get-artifact", api=ROOT, **named, path="MLmodel")
            yield get("model-versions/get-artifact", api=ROOT, **named, path="data/model.pkl")
    for name in facts.models:
        for number in (*range(1, 5), 8):
            yield get("model-versions/get", name=name, version=number)
        if "'" not in name:
            yield get(path, max_results=1000, filter=f"name = '{name}'", pages=pages, keyed=keyed)
    for run in {one.get("run_id") for one in facts.versions if one.get("run_id")}:
        yield get(path, max_results=1000, filter=f"run_id = '{run}'", pages=pages, keyed=keyed)


def _logged_models(facts: Facts) -> Iterator[Question]:
    if not facts.since(3, 0):
        return
    everywhere = [f"⟦{name}⟧" for name in facts.experiments]
    search = {"experiment_ids": everywhere, "max_results": 50, "pages": "models"}
    yield post("logged-models/search", **search)
    yield post("logged-models/search", experiment_ids=everywhere, max_results=4, pages="models")
    for words in (
        "name = 'model'",
        "model_type = 'agent'",
        "params.lr = 'plain'",
        "metrics.accuracy > 0",
        "tags.lr != 'x'",
    ):
        yield post("logged-models/search", filter=words, **search)
    by_metric = [{"field_name": "metrics.accuracy", "ascending": False}]
    yield post("logged-models/search", order_by=by_metric, **search)
    for model in facts.logged_models:
        yield get(f"logged-models/{model}")
        yield get(f"logged-models/{model}/artifacts/directories")
        files = f"logged-models/{model}/artifacts/files"
        yield get(files, api=PAGES_API, artifact_file_path="MLmodel")


def _traces(facts: Facts) -> Iterator[Question]:
    everywhere = [f"⟦{name}⟧" for name in facts.experiments]
    if facts.since(3, 0):
        places = [{"type": 1, "mlflow_experiment": {"experiment_id": one}} for one in everywhere]
        search: dict[str, Any] = {"api": API3, "locations": places, "pages": "traces"}
        for words in ("", *TRACE_FILTERS):
            yield post("traces/search", filter=words, max_results=100, **search)
        for order in (["timestamp_ms ASC"], ["execution_time DESC"], ["status", "timestamp_ms"]):
            yield post("traces/search", order_by=order, max_results=9, **search)
        for one in facts.traces:
            trace = one["trace_id"]
            yield get(f"traces/{trace}", api=API3)
            yield get("traces/get", api=API3, trace_id=trace)
            yield get("traces/batchGet", api=API3, trace_ids=[trace])
            yield get("get-trace-artifact", api=PAGES_API, request_id=trace)
            for said in one.get("assessments", []):
                yield get(f"traces/{trace}/assessments/{said['assessment_id']}", api=API3)
    if facts.since(2, 14):
        for words in ("", *(TRACE_FILTERS[:5] if facts.since(3, 0) else TRACE_FILTERS[:1])):
            yield get("traces", experiment_ids=everywhere, filter=words, max_results=100, pages="traces")
        yield get("traces", experiment_ids=everywhere, order_by="timestamp_ms ASC", max_results=7, pages="traces")
        for one in facts.traces:
            trace = one.get("trace_id") or one["request_id"]
            yield get(f"traces/{trace}/info")
            yield get("get-trace-artifact", api=PAGES_API, request_id=trace)


def _scorers(facts: Facts) -> Iterator[Question]:
    for experiment in [name for name, stage in facts.experiments.items() if stage == "active" and facts.since(3, 4)]:
        yield get("scorers/list", api=API3, experiment_id=f"⟦{experiment}⟧")
    for experiment, name in facts.scorers:
        one = {"api": API3, "experiment_id": f"⟦{experiment}⟧", "name": name}
        yield get("scorers/versions", **one)
        yield get("scorers/get", **one)
        for number in (1, 2, 3, 4):
            yield get("scorers/get", version=number, **one)


def _datasets(facts: Facts) -> Iterator[Question]:
    if not facts.since(3, 4):
        return
    yield post("datasets/search", api=API3, experiment_ids=[], max_results=100, pages="datasets")
    for words in ("name = 'golden'", "name LIKE '%o%'", "tags.lr = 'plain'", "created_by = 'ada'"):
        yield post("datasets/search", api=API3, filter_string=words, max_results=100, pages="datasets")
    for dataset in facts.datasets:
        yield get(f"datasets/{dataset}", api=API3)
        yield get(f"datasets/{dataset}/records", api=API3, max_results=1000)
        yield get(f"datasets/{dataset}/experiment-ids", api=API3)
