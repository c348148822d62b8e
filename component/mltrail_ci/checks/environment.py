"""The job's other variables, and the installed MLflow."""

from collections.abc import Iterator, Mapping

from mltrail_ci.redaction import without_credentials
from mltrail_ci.settings import Settings

from . import Check

_OLDEST_MLFLOW = (1, 28)


def checks(settings: Settings, variables: Mapping[str, str]) -> Iterator[Check]:
    yield from _tracking_uri(settings, variables)
    yield from _registry(settings, variables)
    yield from _pipeline(variables)
    yield from _mlflow()


def _tracking_uri(settings: Settings, variables: Mapping[str, str]) -> Iterator[Check]:
    uri = without_credentials(variables.get("MLFLOW_TRACKING_URI", "").strip())
    if not uri:
        return
    project = variables.get("CI_PROJECT_ID", settings.project)
    right = f"{settings.server}/api/v4/projects/{project}/ml/mlflow"
    if uri.rstrip("/") == right or settings.tracks(uri):
        yield Check("tracking URI", ok=True, message=uri)
    else:
        yield Check(
            "tracking URI",
            ok=False,
            message=f"MLFLOW_TRACKING_URI is {uri}, but for this project it should be {right}. A CI/CD variable of "
            "that name (project, group or instance settings) overrides the component's: delete it there.",
            fix=f"export MLFLOW_TRACKING_URI={right}",
        )


def _registry(settings: Settings, variables: Mapping[str, str]) -> Iterator[Check]:
    uri = without_credentials(variables.get("MLFLOW_REGISTRY_URI", "").strip())
    if uri and not settings.tracks(uri):
        yield Check(
            "registry URI",
            ok=False,
            message=f"MLFLOW_REGISTRY_URI is {uri}: models are registered there, not on this server.",
            fix="unset MLFLOW_REGISTRY_URI",
        )


def _pipeline(variables: Mapping[str, str]) -> Iterator[Check]:
    source = variables.get("CI_PIPELINE_SOURCE")
    if source == "merge_request_event":
        yield Check(
            "pipeline", ok=True, message=f"it belongs to merge request !{variables.get('CI_MERGE_REQUEST_IID', '?')}"
        )
    elif source == "push" and variables.get("CI_OPEN_MERGE_REQUESTS"):
        open_ones = variables["CI_OPEN_MERGE_REQUESTS"]
        yield Check(
            "pipeline",
            ok=False,
            message=f"It is a branch pipeline, although {open_ones} is open: the job `mltrail-report` runs only in "
            "merge request pipelines. Add the `rules:` from docs/how-to/add-to-a-pipeline.md to this job.",
            fix="rules: [{if: '$CI_MERGE_REQUEST_IID || $CI_COMMIT_TAG || $CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH'}]",
        )
    elif source:
        yield Check("pipeline", ok=True, message=f"its source is {source}, and no merge request is open for its branch")


def _mlflow() -> Iterator[Check]:
    from importlib import metadata  # noqa: PLC0415 - only here, and it is slow to load

    for name in ("mlflow", "mlflow-skinny"):
        try:
            version = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
        numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdecimal())
        old = numbers < _OLDEST_MLFLOW
        hint = ". It is older than 1.28, the oldest tested version: some calls may fail. Use a newer one" if old else ""
        yield Check("MLflow", ok=not old, message=f"{name} {version} is installed here{hint}")
        return
