"""The contract in a note: what its rules expect, what is wrong with it, and what another version would say."""

from collections.abc import Sequence
from typing import Any

from mltrail_contract import FILE_NAME, Outcome, Problem, Rule, Then
from mltrail_server.domain.markdown import Markdown, code
from mltrail_server.domain.numbers import count
from mltrail_server.domain.rules import Ruling
from mltrail_server.services.review import rows
from mltrail_server.services.review.judged import ModelReport
from mltrail_server.services.review.reports import Report
from mltrail_server.services.review.rows import Row

from .cells import Page

_ICONS = {Outcome.PASS: "✅", Outcome.WARN: "⚠️", Outcome.FAIL: "❌"}
_THEN = {Then.FAIL: "blocks", Then.WARN: "warns"}
_WORST_FIRST = (Outcome.FAIL, Outcome.WARN, Outcome.PASS)
_MOST_PROBLEMS = 10
_MOST_ROWS = 50
_MOST_CASES = 5
_MOST_CHARACTERS = 240


def worst_first(rulings: Sequence[Ruling]) -> list[Ruling]:
    return sorted(rulings, key=lambda ruling: _WORST_FIRST.index(ruling.outcome))


def expected(model: ModelReport) -> list[Markdown]:
    """List what the rules expect, broken rules first."""
    ruled = [row for row in rows.of(model) if row.rule is not None]
    listed = [expects(row) for row in ruled[:_MOST_ROWS]]
    more = len(model.rulings) - len(listed)
    found = [*listed, Markdown(f"and {more} more")] if more > 0 else listed
    dataset = same_dataset(model)
    return found if dataset is None else [*found, dataset]


def expects(row: Row) -> Markdown:
    """Say what a row's rule expects of its metric, and what a breach does."""
    if row.rule is None:
        return Markdown("")
    return Markdown(
        f"{code(row.metric)} {rows.expects(row)}{_cases(row.rule)}: {_breach(row.rule)} {_THEN[row.rule.then]}"
    )


def same_dataset(model: ModelReport) -> Markdown | None:
    """Say which dataset both sides must share; None if no rule that compares asks for it."""
    dataset = model.model.same_dataset if model.model is not None else None
    if dataset is None or not any(one.rule.worse_by is not None for one in model.rulings):
        return None
    return Markdown(f"both sides must use the same {code(dataset)} dataset, else rules that compare are broken")


def _cases(rule: Rule) -> str:
    """Name the cases that must pass."""
    if not rule.must_pass:
        return ""
    more = len(rule.must_pass) - _MOST_CASES
    named = ", ".join(map(code, rule.must_pass[:_MOST_CASES]))
    return f" ({named}{f' and {more} more' if more > 0 else ''})"


def _breach(rule: Rule) -> str:
    """A rule that compares is tested: what may be chance does not break it."""
    return "else it" if rule.worse_by is None else "a clear breach"


def accepted(report: Report) -> Markdown | None:
    """Say who has accepted the broken rules, and why."""
    override = report.override
    if override is None:
        return None
    return Markdown(f"Accepted by {code(override.user_name)}: {code(override.reason, most=_MOST_CHARACTERS)}")


def doubts(report: Report) -> list[Markdown]:
    """Say what has changed about the report job: the merge request may have changed it."""
    return [Markdown(f"⚠️ {doubt.sentence(code)}") for doubt in report.doubts]


def problems(page: Page) -> dict[str, Any] | None:
    """Say what is wrong with the contract that binds."""
    listed = page.report.gate.contract.problems
    if not listed:
        return None
    sentence = f"{code(FILE_NAME)} on {page.target} can't be read, so no rule was checked:"
    if page.report.gate.models and any(model.rulings for model in page.report.gate.models):
        sentence = f"{code(FILE_NAME)} on {page.target} can't be read, and this merge request mends it:"
    return {"sentence": Markdown(sentence), "items": _items(listed)}


def proposed(page: Page) -> dict[str, Any] | None:
    """Say what the gate would say with the merge request's own version of the contract."""
    judged = page.report.proposed
    if judged is None:
        return None
    version = judged.contract
    if version.problems:
        sentence = f"This merge request changes {code(FILE_NAME)}, but its version can't be read:"
        return {"sentence": Markdown(sentence), "items": _items(version.problems), "rows": []}
    if version.contract is None:
        sentence = f"This merge request removes {code(FILE_NAME)}: nothing would gate any more."
        return {"sentence": Markdown(sentence), "items": [], "rows": []}
    sentence = f"This merge request changes {code(FILE_NAME)}. With its version: **{judged.sentence}**."
    listed = [(model, ruling) for model in judged.models for ruling in worst_first(model.rulings)]
    listed.sort(key=lambda pair: _WORST_FIRST.index(pair[1].outcome))
    shown = [
        {
            "verdict": Markdown(f"{_ICONS[ruling.outcome]} {ruling.verdict}"),
            "model": code(model.name),
            "expects": Markdown(f"{code(ruling.metric)} {ruling.expects}"),
            "sentence": Markdown(ruling.full_sentence),
        }
        for model, ruling in listed[:_MOST_ROWS]
    ]
    summary = Markdown(f"What {count(len(listed), 'rule')} would say")
    return {"sentence": Markdown(sentence), "items": [], "rows": shown if page.detail else [], "summary": summary}


def _items(listed: Sequence[Problem]) -> list[Markdown]:
    items = [
        Markdown(f"line {problem.line}: {code(problem.sentence, most=_MOST_CHARACTERS)}")
        for problem in listed[:_MOST_PROBLEMS]
    ]
    more = len(listed) - _MOST_PROBLEMS
    return [*items, Markdown(f"and {more} more")] if more > 0 else items
