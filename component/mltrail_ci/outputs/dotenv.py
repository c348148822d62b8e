"""A dotenv report: variables for later jobs. https://docs.gitlab.com/ci/yaml/artifacts_reports/#artifactsreportsdotenv

MLFLOW_RUN_ID is never among them: a later job's `mlflow.start_run()` would resume that run and overwrite it.
"""

import unicodedata
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple
from urllib.parse import quote

from mltrail_ci import naming
from mltrail_ci.responses import Promotion, Report

_MOST_VARIABLES = 20
_MOST_BYTES = 5120
"""https://docs.gitlab.com/administration/instance_limits/#limit-dotenv-variables"""

_KINDS: Mapping[str, Callable[[Promotion], str]] = {
    "MLTRAIL_VERSION": lambda one: one.holder if one.is_overtaken else one.version,
    "MLTRAIL_ALIAS": lambda one: one.alias,
    "MLTRAIL_MODEL": lambda one: one.model,
    "MLTRAIL_VERSION_URL": lambda one: one.holder_url if one.is_overtaken else one.url,
}


class Dotenv(NamedTuple):
    """`left_out` names variables that GitLab would not accept, with the reason."""

    text: str
    left_out: list[str]


def of_report(report: Report) -> Dotenv:
    best = [model for model in report.models if model.best]
    return _file(
        {
            "MLTRAIL_STATE": report.state,
            "MLTRAIL_VERDICT": report.level,
            "MLTRAIL_MODELS": ",".join(map(_listed, (model.name for model in report.models))),
            "MLTRAIL_BEST_URL": best[0].best.url if len(best) == 1 and best[0].best else "",
            "MLTRAIL_NOTE_URL": report.note_url,
        }
    )


def of_promotions(promotions: Sequence[Promotion]) -> Dotenv:
    """Each model has variables of its own, MLTRAIL_VERSION_CHURN and so on; if only one was promoted, it has the plain
    ones too. The versions come first, because there may not be room for everything.
    """
    done = [one for one in promotions if one.state in {"promoted", "already"}]
    plain = {kind: value(one) for kind, value in _KINDS.items() for one in done if len(done) == 1}
    return _file(plain | {variable(kind, one): value(one) for kind, value in _KINDS.items() for one in done})


def variable(kind: str, one: Promotion) -> str:
    """The model's own variable for later jobs: `MLTRAIL_VERSION` becomes MLTRAIL_VERSION_CHURN."""
    return f"{kind}_{naming.variable(one.model)}"


def _listed(name: str) -> str:
    """A name in a list with commas: characters that would break the list or line, or be expanded, are URL-encoded."""
    return "".join(_quoted(one) if one in "%,$" or one.isspace() or _breaks(one) else one for one in name)


def _quoted(character: str) -> str:
    return quote(character.encode("utf-8", "surrogatepass"), safe="")


def _file(values: Mapping[str, str]) -> Dotenv:
    """GitLab accepts 20 variables and 5 KB, and fails the job if the file is larger, so the rest is left out.

    It has no quoting, and expands what looks like a variable. A value that would be changed is left out too, because
    a changed name would be another model's.
    """
    kept: list[str] = []
    left_out = []
    for name, value in values.items():
        if not value:
            continue
        line = f"{name}={value}\n"
        if value != value.strip() or "$" in value or any(map(_breaks, value)):
            left_out.append(f"{name}: no variable can hold its value")
        elif len(kept) >= _MOST_VARIABLES or sum(map(_size, (*kept, line))) > _MOST_BYTES:
            left_out.append(f"{name}: GitLab accepts only {_MOST_VARIABLES} variables and {_MOST_BYTES} bytes")
        else:
            kept.append(line)
    return Dotenv("".join(kept), left_out)


def _breaks(character: str) -> bool:
    """Control characters, line separators, and lone surrogates, which UTF-8 can't encode."""
    return unicodedata.category(character) in {"Cc", "Zl", "Zp", "Cs"}


def _size(text: str) -> int:
    return len(text.encode())
