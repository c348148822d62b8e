"""What the contract says, for a note: the verdict, a row a rule, what is wrong with it, what another would say."""

from collections.abc import Sequence
from typing import Any

from mltrail_contract import FILE_NAME, Outcome, Problem, Value
from mltrail_server.domain.comparison import MetricChange
from mltrail_server.domain.gate import Ruling
from mltrail_server.domain.markdown import Markdown, code
from mltrail_server.services.review.judge import Judged, ModelReport
from mltrail_server.services.review.reports import Report

from .cells import Page, arrow, count, values

ICONS = {Outcome.PASS: "✅", Outcome.WARN: "⚠️", Outcome.FAIL: "❌"}
_WORST_FIRST = (Outcome.FAIL, Outcome.WARN, Outcome.PASS)
_MOST_PROBLEMS = 10
_MOST_ROWS = 50
_WIDE = 240


def worst_first(rulings: Sequence[Ruling]) -> list[Ruling]:
    return sorted(rulings, key=lambda one: _WORST_FIRST.index(one.outcome))


def rows(model: ModelReport) -> list[dict[str, Markdown]]:
    changes = {one.name: one for one in model.comparison.metrics}
    told = []
    for one in worst_first(model.rulings)[:_MOST_ROWS]:
        change = changes.get(one.metric)
        told.append(
            {
                "icon": Markdown(ICONS[one.outcome]),
                "metric": Markdown(code(one.metric) + (arrow(change.direction) if change else "")),
                "means": values(change.baseline, change.current) if change else Markdown("–"),
                "sentence": Markdown(_sentence(one, change)),
            }
        )
    return told


def expected(model: ModelReport) -> list[Markdown]:
    """Tell what the rules want, those that are broken first."""
    told = [Markdown(f"{code(one.metric)} {one.expects}") for one in worst_first(model.rulings)[:_MOST_ROWS]]
    more = len(model.rulings) - len(told)
    return [*told, Markdown(f"and {more} more")] if more > 0 else told


def _sentence(ruling: Ruling, change: MetricChange | None) -> str:
    """Say what was found first: on a phone few words fit. A difference that is allowed needs no rule beside it, which
    stands with the evidence.
    """
    found = _found(ruling, change)
    return f"{found}; {ruling.expects}" if _bounded(ruling) or ruling.outcome is not Outcome.PASS else found


def _bounded(ruling: Ruling) -> bool:
    return ruling.rule.at_least is not None or ruling.rule.at_most is not None


def _found(ruling: Ruling, change: MetricChange | None) -> str:
    """Say what was found; the comparison's sentence tells how many runs show it, the rule's how many would."""
    compares = ruling.rule.worse_by is not None and ruling.rule.value is Value.LAST and not _bounded(ruling)
    if not compares or not ruling.known or change is None or change.evidence is None:
        return ruling.full_sentence
    improved = ruling.outcome is Outcome.PASS and "noise" not in ruling.sentence
    return change.sentence if improved or change.evidence.real() else ruling.full_sentence


def heading(judged: Judged) -> Markdown | None:
    """Write the verdict; None where nothing gates."""
    if judged.outcome is None:
        return None
    return Markdown(f"{judged.sentence[0].upper()}{judged.sentence[1:]}")


def accepted(report: Report) -> Markdown | None:
    """Tell who has let the broken rules pass, and why."""
    found = report.override
    if found is None:
        return None
    return Markdown(f"Accepted by {code(found.user_name)}: {code(found.reason, most=_WIDE)}")


def doubts(report: Report) -> list[Markdown]:
    """Say what has changed about the report job: the merge request may have changed it."""
    return [Markdown(f"⚠️ {one.sentence(code)}") for one in report.doubts]


def problems(page: Page) -> dict[str, Any] | None:
    """Tell what is wrong with the file that binds."""
    found = page.report.gate.contract.problems
    if not found:
        return None
    told = f"{code(FILE_NAME)} on {page.target} can't be read, so no rule was checked:"
    if page.report.gate.models and any(model.rulings for model in page.report.gate.models):
        told = f"{code(FILE_NAME)} on {page.target} can't be read, and this merge request mends it:"
    return {"sentence": Markdown(told), "items": _items(found)}


def proposed(page: Page) -> dict[str, Any] | None:
    """Tell what the gate would say with the merge request's own version of the file."""
    judged = page.report.proposed
    if judged is None:
        return None
    version = judged.contract
    if version.problems:
        told = f"This merge request changes {code(FILE_NAME)}, but its version can't be read:"
        return {"sentence": Markdown(told), "items": _items(version.problems), "rows": []}
    if version.contract is None:
        told = f"This merge request removes {code(FILE_NAME)}: nothing would gate any more."
        return {"sentence": Markdown(told), "items": [], "rows": []}
    told = f"This merge request changes {code(FILE_NAME)}. With its version: **{judged.sentence}**."
    listed = [(model, ruling) for model in judged.models for ruling in worst_first(model.rulings)]
    listed.sort(key=lambda one: _WORST_FIRST.index(one[1].outcome))
    shown = [
        {
            "icon": Markdown(ICONS[ruling.outcome]),
            "metric": Markdown(f"{code(model.name)} {code(ruling.metric)}"),
            "expects": Markdown(ruling.expects),
            "sentence": Markdown(ruling.full_sentence),
        }
        for model, ruling in listed[:_MOST_ROWS]
    ]
    summary = Markdown(f"What {count(len(listed), 'rule')} would say")
    return {"sentence": Markdown(told), "items": [], "rows": shown if page.detail else [], "summary": summary}


def _items(found: Sequence[Problem]) -> list[Markdown]:
    told = [
        Markdown(f"line {one.line}: {code(f'{one.key}: {one.message}' if one.key else one.message, most=_WIDE)}")
        for one in found[:_MOST_PROBLEMS]
    ]
    more = len(found) - _MOST_PROBLEMS
    return [*told, Markdown(f"and {more} more")] if more > 0 else told
