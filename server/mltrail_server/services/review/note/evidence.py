"""How well a model's verdicts are known: what was compared, how sure each verdict is, and what can't be said."""

import itertools
import math
from typing import Any

from mltrail_server.domain.comparison import MetricChange
from mltrail_server.domain.direction import Better, is_in_points, unit_of
from mltrail_server.domain.hypotheses import Family
from mltrail_server.domain.markdown import Markdown, code, name
from mltrail_server.domain.numbers import LEAST_CHANCE, NO_SIGN, count, decimals_for, number, signed
from mltrail_server.domain.rules import compares_last
from mltrail_server.domain.verdict import Verdict
from mltrail_server.services.review import rows
from mltrail_server.services.review.judged import ModelReport
from mltrail_server.services.review.rows import Row

from .cells import Page

_MOST_PLACES = 6
_MOST_ROWS = 8
_MOST_PIPELINES = 5
_P = (
    "p is how often runs that vary as on the target branch would show at least this much by chance, if the model had "
    "changed by exactly what is allowed (without a limit: not at all). It is one-sided"
)
_CHANCE = "at most one chance in twenty of a false alarm in a commit that changes nothing"
_GAINS = "Gains are tested separately, against no change at all, with as much chance again."
_INTERVAL = (
    "Each end of an interval leaves out 5 %, corrected like the test on that side, so that it agrees with the verdict: "
    "a difference need not lie in the middle. *Could be as low (or high) as* names such an end. SD is the standard "
    "deviation from run to run."
)
_RUNS_ONLY = (
    "Chance is what differs from run to run, such as the seed. Whether another test set, or another machine, would say "
    "the same is not measured here."
)
_RUNS_AND_CASES = (
    "Chance is what differs from run to run, such as the seed, and for tables of cases what differs from case to case."
)
_NO_PROOF = "Neither *no clear change* nor *within its limit* proves that nothing has changed."
_KEPT = "Where a drop is limited, *within its limit* means that even the worse end of the interval keeps it."
_MEASURED = "*As measured*: a plain bar, such as *at most 0.4*, is held against the value itself, without a test."
_ITS_P = "Its p and interval are about the change."


def table(page: Page, model: ModelReport) -> dict[str, Any] | None:
    """Say what was compared, how sure each verdict is, and what can't be said."""
    compared = model.comparison
    if not page.detail or compared.best is None or compared.baseline is None:
        return None
    of_rules = {row.metric: row for row in reversed(rows.of(model))}
    weighed = (
        _weighed(change, of_rules.get(change.name))
        for change in compared.metrics
        if change.evidence and change.evidence.bounded
    )
    listed = list(itertools.islice(weighed, page.most(_MOST_ROWS)))
    return {
        "compared": _compared(page, model),
        "rows": listed,
        "note": _note(page, model) if listed else None,
        "bounds": [*_selection(model), *_would_show(page, model), *_limits(model)],
    }


def _note(page: Page, model: ModelReport) -> Markdown:
    """Say what the columns mean, and for what they are corrected."""
    sides = _chosen_from(page, model)
    chosen = (
        f" p and intervals are corrected for choosing the best of {sides}{_by(model)}, whose lead is partly luck: the "
        "difference that the table shows may lie outside its interval."
        if sides
        else ""
    )
    return Markdown(f"{_P}{_tests(model, alone=len(page.report.models) == 1)}{chosen} {_INTERVAL}")


def _tests(model: ModelReport, *, alone: bool) -> str:
    """Say how many tests, over all models, each is one of."""
    decisions = rows.decisions(model)
    if not decisions:
        return "."
    tests = {one.family: one.tests for one in decisions}
    over = "" if alone else ", over all models"
    rank = "; a single run must also stand out by its rank among the earlier pipelines"
    how = f"Holm{over}{rank if any(one.ranked for one in decisions) else ''}"
    blocking, others = tests.get(Family.FAIL, 0), tests.get(Family.OTHER, 0)
    if blocking and others:
        groups = f"{count(blocking, 'test')} by rules that block, and {count(others, 'other')}"
        return f" and corrected ({how}) in two groups, {groups}; each group has {_CHANCE}. {_GAINS}"
    if blocking + others == 1:
        return f"; the only test has {_CHANCE}. {_GAINS}"
    return f" and corrected ({how}) for {blocking or others} tests, which share {_CHANCE}. {_GAINS}"


def _chosen_from(page: Page, model: ModelReport) -> str:
    """Say how many candidates the best was chosen from, on each side; "" if nothing was chosen. Those that were clearly
    behind had no chance to win.
    """
    contests = [one.evidence.contest for one in model.comparison.metrics if one.evidence is not None]
    here, there = (max((getattr(one, side) for one in contests), default=1) for side in ("here", "there"))
    sides = [f"{here} candidates here"] if here > 1 else []
    sides += [f"{there} on {page.target}"] if there > 1 else []
    return " and of ".join(sides)


def _by(model: ModelReport) -> str:
    """Name the metric that chose."""
    ranked = model.comparison.rank_by
    return f" by {name(ranked)}" if ranked is not None else ""


def _weighed(change: MetricChange, row: Row | None) -> dict[str, Markdown]:
    weighed = change.evidence
    assert weighed is not None  # noqa: S101 - only such metrics are listed
    scale, unit = _scale(change.name)
    sd = weighed.sd * scale
    spread = f"{number(sd, decimals=decimals_for(sd))}{unit}" if sd else "none"
    return {
        "metric": Markdown(f"{name(change.name)}<br><sub>SD {spread}</sub>"),
        "bounds": Markdown(interval(change.name, weighed.low, weighed.high, sd=weighed.sd)),
        "chance": Markdown(_chance(change, row)),
    }


def interval(metric: str, low: float, high: float, *, sd: float = 0.0) -> str:
    """Write where the difference of a metric could lie, from end to end. `sd` says how many digits mean something where
    an end is not known.
    """
    scale, unit = _scale(metric)
    width = (high - low) * scale
    places = decimals_for((width if math.isfinite(width) else 0.0) or sd * scale)
    return _bounds(low * scale, high * scale, places, unit)


def _scale(metric: str) -> tuple[float, str]:
    """Return by what a difference is multiplied to be written, and its unit."""
    return (100, " pp") if is_in_points(metric) else (1, f" {unit_of(metric)}".rstrip())


def _bounds(low: float, high: float, places: int, unit: str) -> str:
    """Write an interval; an end that chance never reaches is not known."""
    if math.isinf(low) and math.isinf(high):
        return "unknown"
    ends = (_end(end, places) if math.isfinite(end) else "?" for end in (low, high))
    return f"{' … '.join(ends)}{unit}"


def _end(value: float, places: int) -> str:
    """Write an end of an interval so that it shows on which side of 0 it is."""
    while 0 < abs(value) < 0.5 * 10**-places and places < _MOST_PLACES:
        places += 1
    return signed(value, decimals=places)


def _chance(change: MetricChange, row: Row | None) -> str:
    """Write a p, with what would have to be chance: that of the rule, unless the metric is better, or else of the way
    in which it moved. One above 50 % is no sign of the opposite, so its digits would mislead.
    """
    decision = change.decision
    if decision is None:
        return "–"
    loss, gain = ("rise", "drop") if change.direction.better is Better.LOWER else ("drop", "rise")
    ruled = row is not None and _limits_the_loss(row)
    if ruled and row is not None and not decision.better:
        limit = rows.limit(row)
        what, p = f"{loss}{f' beyond {limit[1:]}' if limit else ''}", decision.p_worse
    elif decision.better or (not decision.worse and change.loss is not None and change.loss < 0):
        what, p = gain, decision.p_better
    else:
        what, p = loss, decision.p_worse
    if p < NO_SIGN:
        return f"{what}: {_percent(p)}"
    return f"no evidence of a {what if ruled else 'change'} (p > 50 %)"


def _limits_the_loss(row: Row) -> bool:
    return row.rule is not None and row.rule.worse_by is not None and compares_last(row.rule)


def _percent(p: float) -> str:
    return "< 0.1 %" if p < LEAST_CHANCE else f"{p * 100:.1f} %"


def _compared(page: Page, model: ModelReport) -> Markdown:
    """Name the pipelines whose runs count."""
    compared, baseline = model.comparison, model.baseline
    made_by = page.pipeline(model.made_by or page.report.pipeline)
    best = len(compared.best.runs) if compared.best else 0
    text = f"{'Not comparable' if compared.incomparable else 'Compared'}: {count(best, 'run')} of {made_by}"
    if compared.groups > 1:
        text += f", the best of {compared.groups} candidates"
    theirs = len(compared.baseline.runs) if compared.baseline else 0
    text += f", with {count(theirs, 'run')}"
    if baseline is None:
        return Markdown(f"{text}{_imported(model)}.")
    shown = page.target
    if model.version is not None:
        shown = Markdown(f"version {code(model.version.semver)}")
        text += f" of version {page.pipeline(baseline, code(model.version.semver))}"
    else:
        text += f" of {page.pipeline(baseline)} on {page.target} ({code(baseline.sha[:8])})"
    level = [model.history[place] for place in compared.counted.level if place < len(model.history)]
    if level:
        named = [page.pipeline(one, Markdown(str(one.id))) for one in level[:_MOST_PIPELINES]]
        left = len(level) - len(named)
        more = f" and {left} more" if left else ""
        earlier = count(len(level), "pipeline")
        text += (
            f". What is shown and tested for {shown} is its level, estimated from these runs and {earlier} before "
            f"({', '.join(named)}{more}); the more {page.target} seems to have moved since, the less they count"
        )
    counted = compared.counted.sentence(len(compared.history))
    if counted:
        text += f". {counted}"
    if compared.looks > 1:
        text += (
            f". These files were judged {compared.looks} times in this merge request: what the first look found holds "
            "unless all runs speak against it"
        )
    return Markdown(f"{text}.")


def _imported(model: ModelReport) -> str:
    return f", {model.imported.sentence(code)}" if model.imported is not None else ""


def _selection(model: ModelReport) -> list[Markdown]:
    """Say what choosing the best of several candidates does to its lead."""
    compared = model.comparison
    if compared.confirmed:
        return [Markdown("The best was trained again on fresh seeds, and only these runs count.")]
    if compared.luck:
        return [
            Markdown(
                f"The lead of the best is no more than luck gives the best of {compared.groups}: train it again on "
                "fresh seeds to tell."
            )
        ]
    return []


def _would_show(page: Page, model: ModelReport) -> list[Markdown]:
    barred = {row.metric for row in rows.of(model) if row.is_bar}  # a change that would be seen breaks no bar
    return [
        Markdown(f"{name(change.name)}: {change.advice}.")
        for change in model.comparison.metrics
        if change.verdict is Verdict.NO_CLEAR_CHANGE and change.advice and change.name not in barred
    ][: page.most(_MOST_ROWS)]


def _limits(model: ModelReport) -> list[Markdown]:
    quiet = (Verdict.NO_CLEAR_CHANGE, Verdict.WITHIN_LIMIT)
    chance = _RUNS_AND_CASES if any(one.compared is not None for one in model.cases) else _RUNS_ONLY
    found = rows.of(model)
    if not any(row.verdict in quiet for row in found):
        return [Markdown(chance)]
    kept = [row for row in found if row.verdict is Verdict.WITHIN_LIMIT]
    more = [_KEPT] if any(row.is_tested for row in kept) else []
    more += [_MEASURED] if any(row.is_bar for row in found) else []
    more += [_ITS_P] if any(row.is_bar and row.change and row.change.decision for row in found) else []
    return [Markdown(chance), Markdown(" ".join([_NO_PROOF, *more]))]
