"""The parts of MLflow that mltrail does not have, why, and what to use instead."""

import re

_INSTEAD = {
    "traces/metrics": (
        "mltrail computes no metrics over traces. Find the traces with `mlflow.search_traces`; the merge request says "
        "what those of a run cost and how long they took."
    ),
    "traces/calculate-filter-correlation": (
        "mltrail computes no correlations of filters. Find the traces of each filter with `mlflow.search_traces`."
    ),
    "traces": "mltrail keeps traces, but has no endpoint of that name for traces.",
    "unified-traces": "mltrail has only one kind of trace: search with `mlflow.search_traces`.",
    "scorer": "mltrail stores scorers but does not run them. Run them in a job: `mlflow.genai.evaluate`.",
    "genai": "mltrail runs no evaluations, so it needs no provider's key. Run `mlflow.genai.evaluate` in a job.",
    "issues": (
        "mltrail keeps no issues of its own: use GitLab's. Log what you find in a trace as feedback "
        "(`mlflow.log_feedback`)."
    ),
    "label-schemas": "mltrail has no labeling. People give feedback on a trace's page, or with `mlflow.log_feedback`.",
    "review-queues": (
        "mltrail has no review queues: work is reviewed in merge requests. People can give feedback on a trace's "
        "page, or with `mlflow.log_feedback`."
    ),
    "gateway": "mltrail is not a gateway to language models. Call the provider directly, or run a gateway of your own.",
    "graphql": "mltrail has no GraphQL, which only MLflow's own pages use. Use the REST API, or mltrail's own pages.",
    "webhooks": "mltrail has no registry webhooks. Pipelines promote models here: add a job after the promotion.",
    "workspaces": "mltrail has no workspaces. Use a GitLab project instead: the tracking URI names it.",
    "prompt-optimization": "mltrail does not optimize prompts, but it stores them: `mlflow.genai.register_prompt`.",
    "jobs": "mltrail runs no jobs: GitLab's pipelines do. Put the work into a job of `.gitlab-ci.yml`.",
    "mcp-servers": "mltrail has no registry of MCP servers. Keep their configuration in the repository.",
    "skills": "mltrail has no registry of skills. Keep them in the repository, beside the prompts that use them.",
    "assistant": "mltrail has no assistant, which would need a provider's key on the server.",
    "demo": "mltrail creates no demo data in a project. `make demo` in its repository shows a whole trail.",
    "ui-telemetry": "mltrail reports nothing about its users to anybody, so there is nothing to switch off.",
    "runs/create-promptlab-run": (
        "mltrail has no prompt lab, which needs a gateway to language models. Try prompts where their code is, and "
        "register them with `mlflow.genai.register_prompt`."
    ),
}
"""By the first words of a path, the longest that match."""

_ALSO = {"get-online-trace-details": "unified-traces", "gateway-proxy": "gateway"}
_PREFIX = re.compile(r"^(?:(?:ajax-)?api/\d\.\d/)?(?:preview/)?(?:mlflow/)?")


def instead_of(path: str, *, other_method: bool = False) -> str | None:
    """Say what to do instead of calling the endpoint at `path`; None for one that MLflow does not have either. With
    `other_method` there is something else at the path: MLflow's `traces/metrics` looks like the id of a trace.
    """
    below = path.rpartition("/ml/mlflow/")[2]
    reason = _INSTEAD.get("/".join(_words(below)[:2])) if other_method else reason_of(below)
    return None if reason is None else f"{reason} (No endpoint {path}.)"


def reason_of(path: str) -> str | None:
    """Return why MLflow's endpoint at a path below the tracking URI is absent, and what to use instead."""
    words = _words(path)
    return _INSTEAD.get("/".join(words[:2])) or _INSTEAD.get(_ALSO.get(words[0], words[0]))


def _words(path: str) -> list[str]:
    return _PREFIX.sub("", path.lstrip("/"), count=1).split("/")
