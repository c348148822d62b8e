"""A dotenv report: variables for later jobs. https://docs.gitlab.com/ci/yaml/artifacts_reports/#artifactsreportsdotenv

There is never a MLFLOW_RUN_ID among them: a later job's `mlflow.start_run()` would resume that run and write over it.
"""

import re
from collections.abc import Callable, Mapping

from mltrail_ci.answers import Promotion, Report

_MOST_VARIABLES = 20
_MOST_BYTES = 5120
"""https://docs.gitlab.com/administration/instance_limits/#limit-dotenv-variables"""


def of_report(report: Report) -> str:
    best = [model for model in report.models if model.best]
    return _lines(
        {
            "MLTRAIL_STATE": report.state,
            "MLTRAIL_VERDICT": report.level,
            "MLTRAIL_MODELS": ",".join(model.name for model in report.models),
            "MLTRAIL_BEST_URL": best[0].best.url if len(best) == 1 and best[0].best else "",
            "MLTRAIL_NOTE_URL": report.note_url,
        }
    )


def of_promotions(promotions: list[Promotion]) -> str:
    """Names carry the model where there are several: MLTRAIL_VERSION, or MLTRAIL_VERSION_CHURN and so on. The versions
    come first, since not all of many may have room.
    """
    done = [one for one in promotions if one.state in {"promoted", "already"}]
    suffixes = ["" if len(done) == 1 else "_" + re.sub(r"[^A-Z0-9]", "_", one.model.upper()) for one in done]
    kinds: dict[str, Callable[[Promotion], str]] = {
        "MLTRAIL_VERSION": lambda one: one.version,
        "MLTRAIL_ALIAS": lambda one: one.alias,
        "MLTRAIL_MODEL": lambda one: one.model,
        "MLTRAIL_VERSION_URL": lambda one: one.url,
    }
    return _lines(
        {
            f"{kind}{suffix}": value(one)
            for kind, value in kinds.items()
            for suffix, one in zip(suffixes, done, strict=True)
        }
    )


def _lines(values: Mapping[str, str]) -> str:
    """GitLab knows no quoting here: a line break in a value would start another variable.

    It takes 20 variables and 5 KB, and fails the job of a larger file, so what has no room is left out.
    """
    kept: list[str] = []
    for name, value in values.items():
        line = f"{name}={' '.join(value.split())}\n"
        if value and len(kept) < _MOST_VARIABLES and sum(map(_size, (*kept, line))) <= _MOST_BYTES:
            kept.append(line)
    return "".join(kept)


def _size(text: str) -> int:
    return len(text.encode())
