"""The parts of MLflow 3 that mltrail does not have, and what to use instead."""

_INSTEAD = {
    "traces": "mltrail keeps traces, but has no endpoint of that name for traces.",
    "unified-traces": "mltrail knows one kind of traces only: search them with `mlflow.search_traces`.",
    "assessments": "mltrail keeps no assessments, since it keeps no traces. Log what was assessed as metrics of a run.",
    "scorer": "mltrail runs no scorers, it only keeps them. Run them in a job: `mlflow.genai.evaluate`.",
    "gateway": "mltrail is no gateway to language models. Call the provider itself, or a server of its own.",
    "graphql": "mltrail has no GraphQL, which MLflow's own pages use. Its pages are at its root; use the REST API.",
    "webhooks": "mltrail has no webhooks of the registry. Pipelines promote here: let a job behind it do what follows.",
    "workspaces": "mltrail has no workspaces. A project of GitLab is one: it stands in the tracking URI.",
    "prompt-optimization": "mltrail optimizes no prompts. It keeps them: `mlflow.genai.register_prompt`.",
}
_ALSO = {"get-online-trace-details": "unified-traces", "get-trace-artifact": "traces", "gateway-proxy": "gateway"}


def instead_of(path: str) -> str | None:
    """Say what to do instead of calling the endpoint at `path`; None for one that MLflow does not have either."""
    # The innermost name decides: the assessments of a trace are assessments.
    for name in reversed(path.rpartition("/ml/mlflow/")[2].split("/")):
        if instead := _INSTEAD.get(_ALSO.get(name, name)):
            return f"{instead} (No endpoint {path}.)"
    return None
