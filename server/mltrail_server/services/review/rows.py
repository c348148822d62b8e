"""What became of each metric and rule of a model, a row each, the worst first: for note, pages and log."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from mltrail_contract import HigherOrLower, Outcome, Rule, Value
from mltrail_server.domain import datasets, trace_metrics
from mltrail_server.domain.cases import evaluate, words
from mltrail_server.domain.cases.comparison import CaseMetric
from mltrail_server.domain.cases.evaluation import Kind, ScorerResult
from mltrail_server.domain.cases.result import CaseResult
from mltrail_server.domain.comparison import NO_BASELINE, MetricChange
from mltrail_server.domain.differences import Difference
from mltrail_server.domain.direction import Basis, Better, MetricDirection, unit_of
from mltrail_server.domain.hypotheses import Decision
from mltrail_server.domain.numbers import number
from mltrail_server.domain.rules import Ruling
from mltrail_server.domain.statistics import Summary
from mltrail_server.domain.verdict import Verdict

from . import scorers
from .judged import ModelReport

# Only a gain is green: what is within its limit may have gone the wrong way.
_OF_OUTCOME = {Outcome.FAIL: "❌", Outcome.WARN: "⚠️"}
_OF_VERDICT = {
    Verdict.WORSE: "⚠️",
    Verdict.BETTER: "✅",
    Verdict.WITHIN_LIMIT: "\N{HEAVY MINUS SIGN}",
    Verdict.NO_CLEAR_CHANGE: "\N{HEAVY MINUS SIGN}",
    Verdict.CANT_TELL: "❔",
}
_NONE = "\N{EN DASH}"
_BAR = "; must be "
_MEASURED = "as measured"
_BETTER = {Better.HIGHER: "higher is better", Better.LOWER: "lower is better", Better.UNKNOWN: "higher or lower?"}
_OUTCOMES = (Outcome.FAIL, Outcome.WARN, Outcome.PASS, None)
_VERDICTS = (
    *(Verdict.WORSE, Verdict.CANT_TELL, Verdict.BETTER),
    *(Verdict.NO_CLEAR_CHANGE, Verdict.WITHIN_LIMIT),
)


@dataclass(frozen=True, slots=True)
class Row:
    """One rule for one metric, or a metric without a rule; `outcome` and `rule` are None then. `means` says what was
    found, and `advice` what to do or what would tell more; neither contains anything that a user wrote. `dataset` is a
    user's name for the dataset that both sides have to share. `change` is
    None for a metric that neither side has logged. `difference` holds the values that a rule has tested, which may be
    the runs' best. `cases` is the table that it is about, None if it is about a metric; `scorer` is set if that is what
    the scorer of an evaluation says of each case.
    """

    metric: str
    verdict: Verdict
    means: str
    advice: str
    outcome: Outcome | None = None
    rule: Rule | None = None
    expects: str = ""
    change: MetricChange | None = None
    decision: Decision | None = None
    difference: Difference | None = None
    dataset: str | None = None
    cases: CaseResult | None = None
    scorer: ScorerResult | None = None

    @property
    def icon(self) -> str:
        undecided = self.verdict is Verdict.CANT_TELL and self.outcome is not Outcome.FAIL
        if self.outcome in _OF_OUTCOME and not undecided:
            return _OF_OUTCOME[self.outcome]
        return _OF_VERDICT[Verdict.NO_CLEAR_CHANGE if self.is_new else self.verdict]

    @property
    def is_new(self) -> bool:
        """Whether the metric has nothing to be compared with, which leaves nothing to find out."""
        return self.verdict is Verdict.CANT_TELL and self.means.endswith((NO_BASELINE, evaluate.NOT_THERE))

    @property
    def better(self) -> str:
        """Which way it is better, in words; for a table of cases, also what is computed from it."""
        direction = "" if self.change is None else direction_text(self.change.direction)
        return f"{self.measure}, {direction}" if self.measure and direction else direction

    @property
    def is_without_baseline(self) -> bool:
        """Whether it is a table of cases that could not be compared, and this side is not the cause."""
        return self.cases is not None and self.cases.compared is None and not self.cases.ours

    @property
    def is_about_cases(self) -> bool:
        """Whether it is about a table of cases, or a rule about the cases of an evaluation."""
        return self.cases is not None or (self.rule is not None and self.rule.cases is not None)

    @property
    def is_aside(self) -> bool:
        """Whether it is latency, tokens or cost, or a scorer whose answers can't be compared, and neither ruled nor
        changed: an evaluation's part of the note shows these, and nobody wants to read them among the others.
        """
        if self.rule is not None or self.verdict in (Verdict.WORSE, Verdict.BETTER):
            return False
        if self.scorer is not None:
            return self.scorer.kind is Kind.OTHER
        return self.cases is None and self.metric.startswith(trace_metrics.PREFIX)

    @property
    def evaluation(self) -> str:
        """The evaluation whose scorer this is about; "" if it is about something else."""
        return "" if self.cases is None else self.cases.evaluation

    @property
    def measure(self) -> str:
        """What is computed from a table of cases; "" for a metric, whose name says it."""
        if self.cases is None:
            return "cases that pass" if self.is_about_cases else ""
        return words.name(CaseMetric(self.cases.table.measure), of_scorer=bool(self.cases.scorer))

    @property
    def before(self) -> float | None:
        """What it is held to."""
        if self.difference is not None:
            return self.difference.before
        return self.change.before if self.change else None

    @property
    def now(self) -> Summary | None:
        return self.change.current if self.change else None

    @property
    def is_tested(self) -> bool:
        """Whether a test has decided; a plain bound, or a metric that is gone, needs none."""
        return self.decision is not None

    @property
    def is_bar(self) -> bool:
        """Whether what was measured is held against a plain bar (`at_least`, `at_most`) as it is, without a test."""
        return not self.is_tested and self.rule is not None and self.rule.cases is None and _BAR in self.means

    @property
    def may_exceed_limit(self) -> bool:
        """Whether a loss is clear in itself, though not that it is more than its rule allows."""
        weighed = self.decision.evidence if self.decision is not None else None
        if self.verdict is not Verdict.CANT_TELL or weighed is None or self.rule is None or not limit(self):
            return False
        return weighed.shows_loss(lower=self.rule.better is HigherOrLower.LOWER)

    @property
    def is_found_worse(self) -> bool:
        """Whether the test says worse: a rule that failed before stays broken until these runs speak against it."""
        return self.decision is not None and self.decision.worse

    @property
    def sentence(self) -> str:
        """What it says as plain text."""
        return self.says(str)

    def says(self, quoted: Callable[[str], str]) -> str:
        """Say what was found, and what to do where that is open; if nothing can be compared, the summary says that.
        `quoted` makes safe what a user wrote.
        """
        blocks = self.verdict is Verdict.CANT_TELL and self.outcome is Outcome.FAIL
        remark = "" if self.scorer is None else scorers.remark(self.scorer)
        if self.scorer is not None and self.scorer.differs is not None:
            return f"blocks: {remark.replace(': ', ', since ', 1)}" if blocks else remark
        if self.means.startswith(datasets.NOT_COMPARABLE):
            # A phone's column has no room for "comparable".
            means = self.means.replace("not comparable", "can't be compared")
            found = datasets.with_name(means, quoted(self.dataset)) if self.dataset else means
            return f"blocks: {found.replace(': ', ', ', 1)}" if blocks else found
        advised = self.advice and (self.verdict is Verdict.CANT_TELL or self.outcome in _OF_OUTCOME)
        found = f"{self._beside_values()}{f'; {self.advice}' if advised else ''}{f'; {remark}' if remark else ''}"
        return f"blocks: {found}" if blocks else found

    def _beside_values(self) -> str:
        """Leave out the value of a plain bar, which stands beside it, unless it looks like the bar there. A number of
        cases does not stand there.
        """
        if self.is_about_cases and _BAR in self.means and self.verdict is Verdict.WITHIN_LIMIT:
            return f"{self.means}, {_MEASURED}"
        if self.rule is None or not self.is_bar:
            return self.means
        _, _, bar = self.means.partition(_BAR)
        if self.rule.value is Value.BEST:
            return f"{self.means}, {_MEASURED}"
        _, shown = texts(self)
        decimals = len(shown.partition(".")[2])
        bounds = [one for one in (self.rule.at_least, self.rule.at_most) if one is not None]
        if shown in (number(one, decimals=decimals) for one in bounds):
            return f"{self.means}, {_MEASURED}"
        return f"must be {bar}, {_MEASURED}"


def of(model: ModelReport) -> list[Row]:
    """List the rules of a model, the worst first, and then the metrics that no rule names."""
    changes = {change.name: change for change in model.comparison.metrics}
    tables = {one.name: one for one in model.cases}
    dataset = model.model.same_dataset if model.model is not None else None
    ruled = [_of_evaluation(model, ruling) or _of_rule(ruling, changes, tables, dataset) for ruling in model.rulings]
    # A table may have the name of a metric.
    named = {(ruling.rule.cases is not None, ruling.metric) for ruling in model.rulings}
    others = [_without_rule(change, dataset) for name, change in changes.items() if (False, name) not in named]
    others += [_without_rule(_of_cases(one), cases=one) for name, one in tables.items() if (True, name) not in named]
    return worst_first(_with_scorers(model, ruled + others))


def _with_scorers(model: ModelReport, found: Iterable[Row]) -> list[Row]:
    judges = {each.result.name: each for one in model.evaluations for each in one.scorers}
    return [replace(one, scorer=judges.get(one.metric)) if one.cases is not None else one for one in found]


def decisions(model: ModelReport) -> list[Decision]:
    """List what was tested of a model: by its rules, and of the metrics and tables of cases that no rule tests."""
    found = [one.decision for one in model.rulings]
    found += [one.decision for one in (*model.comparison.metrics, *map(_of_cases, model.cases))]
    return [one for one in found if one is not None]


def _of_cases(one: CaseResult, *, tested: bool = True) -> MetricChange:
    """Write a table of cases as a metric: what was tested, or else the two named models."""
    found = one.compared
    before, now = (0.0, 0.0) if found is None else (found.before, found.now)
    if found is not None and tested:
        before, now = found.held_to, found.held
    return MetricChange(
        one.name,
        MetricDirection(one.better, Basis.STATED),
        None if found is None else Summary(before, None, 1),
        None if found is None else Summary(now, None, 1),
        None if found is None else now - before,
        verdict=one.verdict,
        reason=one.reason,
        advice=one.advice,
        decision=one.decision,
    )


def worst_first(found: Iterable[Row]) -> list[Row]:
    """What breaks a rule comes first, then what is worse, and what is better before what shows nothing."""
    return sorted(found, key=lambda row: (row.is_aside, *_place(row)))


def _place(row: Row) -> tuple[int, int]:
    outcome = row.outcome if row.outcome is not Outcome.PASS else None
    if outcome is Outcome.WARN and row.verdict is Verdict.CANT_TELL:
        outcome = None  # what can't be told comes after what is worse
    return _OUTCOMES.index(outcome), _VERDICTS.index(row.verdict)


def _of_rule(
    ruling: Ruling, changes: Mapping[str, MetricChange], tables: Mapping[str, CaseResult], dataset: str | None
) -> Row:
    table = tables.get(ruling.metric) if ruling.rule.cases is not None else None
    change = changes.get(ruling.metric) if ruling.rule.cases is None else None
    if table is not None:
        change = _of_cases(table, tested=ruling.decision is not None)
    return _ruled(ruling, change, dataset=dataset, cases=table)


def _of_evaluation(model: ModelReport, ruling: Ruling) -> Row | None:
    """Write a rule about the cases of an evaluation, by several scorers; None if it is about something else."""
    one = next((each for each in model.evaluations if each.name == ruling.rule.cases), None)
    if one is None or any(each.name == ruling.metric for each in model.cases):
        return None
    sides = scorers.pass_rates(one, ruling.rule)
    here, there = (None if value is None else Summary(value, None, 1) for value in sides)
    change = MetricChange(
        ruling.metric,
        MetricDirection(Better.HIGHER, Basis.STATED),
        there,
        here,
        None,
        verdict=ruling.verdict,
        reason=ruling.sentence,
        advice=ruling.advice,
    )
    return _ruled(ruling, change)


def _ruled(
    ruling: Ruling, change: MetricChange | None, *, dataset: str | None = None, cases: CaseResult | None = None
) -> Row:
    return Row(
        ruling.metric,
        ruling.verdict,
        ruling.sentence,
        ruling.advice,
        ruling.outcome,
        ruling.rule,
        ruling.expects,
        change,
        ruling.decision,
        ruling.difference,
        dataset,
        cases,
    )


def _without_rule(change: MetricChange, dataset: str | None = None, *, cases: CaseResult | None = None) -> Row:
    return Row(
        change.name,
        change.verdict,
        change.reason,
        change.advice,
        change=change,
        decision=change.decision,
        dataset=dataset,
        cases=cases,
    )


def direction_text(direction: MetricDirection) -> str:
    """Say in words which way a metric is better."""
    return _BETTER[direction.better] + (" (a guess)" if direction.guessed else "")


def texts(row: Row) -> tuple[str, str]:
    """Write what a metric is held to and its mean here, without a unit, with the digits that their difference has."""
    before, now = row.before, row.now
    if now is None and row.scorer is not None:
        sides = row.scorer.values  # of all cases on each side: shown, not compared
        return _or_none(sides.baseline), _or_none(sides.here)
    if row.change is None or before is None or now is None:
        return _or_none(before), number(now.mean) if now else _NONE
    if row.difference is not None:
        return row.difference.values
    weighed = row.change.evidence
    spread = weighed.error if weighed is not None else (row.change.baseline and row.change.baseline.sd) or now.sd or 0.0
    # What a rule says without having tested it is not about the difference.
    return Difference(row.metric, row.change.direction, before, now.mean, spread, apart=row.rule is not None).values


def _or_none(value: float | None) -> str:
    return _NONE if value is None else number(value)


def values(row: Row) -> str:
    """Write both values in a sentence, with their unit or with what they are: `12.0 → 13.2 ms`, `AUC 0.91 → 0.90`."""
    start, end = texts(row)
    return f"{row.measure} {start} → {end} {unit(row)}".strip()


def unit(row: Row) -> str:
    """Return the unit of a row's values; "" if it has none."""
    known = unit_of(row.metric) if row.cases is None else ""
    return "" if row.now is None else {"pp": "%"}.get(known, known)


def limit(row: Row) -> str:
    """Say how much worse a rule allows: `+5 %`; "" if nothing, if it does not compare, or if it is about cases, of
    which the sentence says it.
    """
    tolerated = row.rule.worse_by if row.rule is not None else None
    if row.rule is None or row.rule.cases is not None or tolerated is None or not tolerated.amount:
        return ""
    better = Better.LOWER if row.rule.better is HigherOrLower.LOWER else Better.HIGHER
    before, now = row.before, row.now.mean if row.now else None
    values = (0.0, 0.0) if before is None or now is None else (before, now)
    return Difference(row.metric, MetricDirection(better, Basis.STATED), *values).limit(
        tolerated.amount, percent=tolerated.percent
    )


def expects(row: Row) -> str:
    """Say what a rule expects, with its limit as the table writes it."""
    found = limit(row)
    if row.rule is None or not found:
        bar = row.rule is not None and row.rule.cases is None and row.expects.startswith("at ")
        return f"must be {row.expects}" if bar else row.expects
    amount = found.removeprefix("+").removeprefix("\N{MINUS SIGN}")
    return re.sub(r"by more than [^,(]*[^,( ]", f"by more than {amount}", row.expects)
