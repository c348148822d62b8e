"""A dotenv report: variables for later jobs. https://docs.gitlab.com/ci/yaml/artifacts_reports/#artifactsreportsdotenv

There is never a MLFLOW_RUN_ID among them: a later job's `mlflow.start_run()` would resume that run and write over it.
"""

import re
from collections.abc import Mapping

from mltrail_ci.answers import Promotion, Report


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
    """Names carry the model where there are several: MLTRAIL_VERSION, or MLTRAIL_VERSION_CHURN and so on."""
    done = [one for one in promotions if one.state in {"promoted", "already"}]
    values: dict[str, str] = {}
    for one in done:
        suffix = "" if len(done) == 1 else "_" + re.sub(r"[^A-Z0-9]", "_", one.model.upper())
        values |= {
            f"MLTRAIL_MODEL{suffix}": one.model,
            f"MLTRAIL_VERSION{suffix}": one.version,
            f"MLTRAIL_ALIAS{suffix}": one.alias,
            f"MLTRAIL_VERSION_URL{suffix}": one.url,
        }
    return _lines(values)


def _lines(values: Mapping[str, str]) -> str:
    """GitLab knows no quoting here: a line break in a value would start another variable."""
    return "".join(f"{name}={' '.join(value.split())}\n" for name, value in values.items() if value)
