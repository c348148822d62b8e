"""What a sentence says about a metric, and how it counts several."""

from collections.abc import Callable, Sequence

from mltrail_server.domain import datasets
from mltrail_server.domain.conclusion import Finding
from mltrail_server.domain.datasets import NOT_COMPARABLE
from mltrail_server.domain.numbers import count
from mltrail_server.domain.verdict import Verdict
from mltrail_server.services.review import rows
from mltrail_server.services.review.judged import ModelReport
from mltrail_server.services.review.rows import Row

from .style import Style

_FEW = 2


def of_model(model: ModelReport) -> list[Row]:
    """List each metric once, with the worst that is said of it."""
    found: dict[str, Row] = {}
    for row in rows.of(model):
        found.setdefault(row.metric, row)
    return list(found.values())


def first_table(model: ModelReport) -> Row | None:
    """Choose the table of cases to speak of where no metric ranks: one that was compared and can't be judged
    yet, else the first that was compared, or else the first.
    """
    tables = [row for row in of_model(model) if row.cases is not None and not row.is_aside]
    compared = [row for row in tables if not row.is_without_baseline] or tables
    undecided = (row for row in compared if row.verdict is Verdict.CANT_TELL)
    return next(undecided, compared[0] if compared else None)


def row_of(models: Sequence[ModelReport], finding: Finding) -> Row | None:
    """Find the row that a finding is about."""
    for model in models:
        if finding.model in ("", model.name):
            for row in rows.of(model):
                if (row.metric, row.verdict, row.outcome) == (finding.metric, finding.verdict, finding.outcome):
                    return row
            for row in rows.of(model):
                if (row.metric, row.verdict) == (finding.metric, finding.verdict):
                    return row
    return None


def worst(row: Row | None, found: Finding, style: Style, *, model: ModelReport, target: str, of: str = "") -> str:
    """Say of the worst what it is, with both values where they tell it."""
    name = f"{style.name(found.metric)}{of}"
    means = row.means if row else found.reason
    if found.verdict is not Verdict.WORSE:
        return _untold(name, row, means, style, model=model, target=target)
    if row is not None and row.is_about_cases and not row.is_tested:
        # The measure may have risen although too many cases broke.
        return f"{name} breaks its rule: {means}"
    if row is None or row.now is None or not row.is_tested:
        return f"{name} is worse: {means}"
    if not row.is_found_worse:
        return f"{name} counts as worse, {rows.values(row)}: {row.advice}"
    limit = rows.limit(row)
    return f"{name} is worse, {rows.values(row)}{f' (allowed: {limit})' if limit else ''}"


def _untold(name: str, row: Row | None, means: str, style: Style, *, model: ModelReport, target: str) -> str:
    """Say that nobody can tell yet whether a metric is worse."""
    if model.comparison.incomparable == means:
        return f"{_incomparable(model, style, target)}, so {name} can't be compared"
    if row is not None and row.may_exceed_limit:
        return f"can't tell yet whether {name} is worse than allowed, {rows.values(row)} (allowed: {rows.limit(row)})"
    return f"can't tell yet whether {name} is worse{undecided(row, means)}"


def _incomparable(model: ModelReport, style: Style, target: str) -> str:
    """Say why a model can't be compared, with the name of the dataset that the contract names."""
    reason = (model.comparison.incomparable or "").removeprefix(NOT_COMPARABLE)
    named = model.model.same_dataset if model.model is not None else None
    if named is None:
        return reason
    dataset = f"another {style.text(named)} dataset"
    reason = datasets.with_name(reason, style.text(named))
    return reason.replace(f"{dataset} is used here", f"this merge request uses {dataset} than {target}")


def undecided(row: Row | None, means: str) -> str:
    """Say why it can't be told, with both values where there are two."""
    _, _, reason = means.partition("; ")
    if row is None or row.now is None or row.before is None or not reason:
        return f": {means.removeprefix(NOT_COMPARABLE)}"
    # The values say how large the difference is.
    return f", {rows.values(row)}: {reason}"


def counted(found: Sequence[tuple[Row, str]], style: Style, *, other: bool = True) -> str:
    """Say how many metrics have each of these verdicts, and name those of which nothing can be told."""
    names: dict[Verdict | None, list[str]] = {}
    for row, name in found:
        names.setdefault(None if row.is_new else row.verdict, []).append(name or style.name(row.metric))
    parts: list[str] = []
    for verdict, say in _COUNTED.items():
        if verdict in names:
            n = len(names[verdict])
            how_many = str(n) if parts else count(n, "other metric" if other else "metric")
            named = " and ".join(names[verdict]) if n <= _FEW else how_many
            said = say(how_many, named, n)
            if verdict is Verdict.WITHIN_LIMIT and all(row.is_bar for row, _ in found if row.verdict is verdict):
                said = said.replace(" limit", " absolute limit")
            parts.append(said)
    return ", ".join(parts)


_COUNTED: dict[Verdict | None, Callable[[str, str, int], str]] = {
    Verdict.NO_CLEAR_CHANGE: lambda counted, _named, _n: f"no clear change in {counted}",
    Verdict.WITHIN_LIMIT: lambda counted, _named, n: f"{counted} within {'its limit' if n == 1 else 'their limits'}",
    Verdict.CANT_TELL: lambda _counted, named, _n: f"can't tell yet about {named}",
    None: lambda _counted, named, n: f"{named} {'has' if n == 1 else 'have'} no baseline yet",
}
"""How to say each verdict, in this order; None stands for what is new."""
