"""What is said about one model in a heading or a list: its worst and its best, or that it was not trained."""

from mltrail_contract import Outcome
from mltrail_server.domain.conclusion import Finding, Level
from mltrail_server.domain.numbers import count
from mltrail_server.domain.silence import Silence, SilenceKind
from mltrail_server.domain.verdict import Verdict
from mltrail_server.services.review import rows
from mltrail_server.services.review.judged import ModelReport

from . import metrics
from .style import ICONS, Style


def heading(model: ModelReport, style: Style) -> tuple[str, str]:
    """Return an icon, and the model's name with the worst thing about it."""
    if model.silence is not None:
        return _icon_of(model), f"{style.name(model.name)} is {silent(model.silence)}"
    found = model.conclusion
    if found.worst is not None:
        return _icon_of(model), f"{style.name(model.name)}: {_worst(model, found.worst, style)}"
    return _icon_of(model), f"{style.name(model.name)}: {_nothing_worse(model)}"


def among_many(model: ModelReport, style: Style) -> tuple[str, str, str]:
    """Return an icon, the worst and the best of a model for a list of models; "" where there is none."""
    icon, found = _icon_of(model), model.conclusion
    if model.silence is not None:
        return icon, silent(model.silence), ""
    worst = best = ""
    if found.worst is not None:
        worst = _worst(model, found.worst, style)
    if found.best is not None:
        row = metrics.row_of([model], found.best)
        best = f"{style.name(found.best.metric)} is better{f', {rows.values(row)}' if row else ''}"
    if model.comparison.baseline is None or not model.comparison.metrics:
        return icon, worst or found.sentence, best
    if worst or best:
        return icon, worst, best
    return icon, metrics.counted([(row, "") for row in metrics.of_model(model)], style, other=False), ""


def _worst(model: ModelReport, found: Finding, style: Style) -> str:
    return metrics.worst(metrics.row_of([model], found), found, style, model=model, target="the baseline")


def _icon_of(model: ModelReport) -> str:
    if model.outcome is Outcome.FAIL:
        return "❌"
    if model.outcome is Outcome.WARN:
        return "❔" if model.conclusion.level is Level.UNKNOWN else "⚠️"
    return ICONS[model.conclusion.level]


def _nothing_worse(model: ModelReport) -> str:
    found = rows.of(model)
    better = sum(row.verdict is Verdict.BETTER for row in found)
    if better:
        return f"{count(better, 'metric is', 'metrics are')} better"
    return model.conclusion.sentence


def why_silent(target: str, silence: Silence, *, imported: bool) -> str:
    """Say in a sentence why a model was not trained here. `imported`: its baseline is."""
    if silence.kind is not SilenceKind.SILENT:
        return f"{silence.sentence}."
    if imported:
        return "it has an imported baseline, but no pipeline of this commit has logged a run of it that succeeded."
    return f"{target} has trained it, but no pipeline of this commit has logged a run of it that succeeded."


def silent(silence: Silence) -> str:
    """Say after a model's name that it was not trained here."""
    if silence.kind is SilenceKind.RED:
        return "not trained here, and failed in this merge request before"
    return "not trained here yet" if silence.kind in (SilenceKind.WAITING, SilenceKind.BUSY) else "not trained here"
