"""How sure a report is: what chance alone would do, on how many runs that rests, or why nothing can be said yet."""

import math
from dataclasses import dataclass

from mltrail_contract import BaselineKind
from mltrail_server.domain import folds
from mltrail_server.domain.cases import words
from mltrail_server.domain.cases.comparison import CaseComparison
from mltrail_server.domain.comparison import NO_CONTRACT, MetricChange
from mltrail_server.domain.numbers import LEAST_CHANCE, count
from mltrail_server.domain.verdict import Verdict
from mltrail_server.services.review.judged import ModelReport, gone_sentence
from mltrail_server.services.review.reports import Report
from mltrail_server.services.review.rows import Row

from .metrics import first_table, row_of
from .style import Line, Style, capital

_WITHOUT_FINDING = {
    Verdict.WITHIN_LIMIT: "clearly within its limit",
    Verdict.NO_CLEAR_CHANGE: "undecided: no difference is clear enough",
}
_COUNTED = "cases are counted, so no test is needed"


def of_report(report: Report, style: Style) -> Line | None:
    """Say how sure the worst is, or else the best."""
    found = report.conclusion.worst or report.conclusion.best
    row = None if found is None else row_of(report.models, found)
    if row is None:
        return None
    of = f" of {style.name(found.model)}" if found is not None and found.model else ""
    clear = _clear(row, style, of=of)
    return Line("How sure", f"{clear}.") if clear else None


def of_model(report: Report, model: ModelReport, style: Style) -> Line | None:
    """Say how sure what the heading says of a model is, and on how many runs that rests."""
    return _OfModel(report, model, style).line()


def _clear(row: Row, style: Style, *, of: str = "", between: str = "run") -> str:
    """Say how often chance alone would show what a test has found; "" if it has found nothing."""
    decision, worse = row.decision, row.verdict is Verdict.WORSE
    if decision is None or not (decision.worse if worse else decision.better):
        return ""
    p = decision.p_worse if worse else decision.p_better
    found = f"clear that {style.name(row.metric)}{of} is {'worse' if worse else 'better'}"
    if row.cases is not None:
        compared = row.cases.compared
        of_scorer = bool(row.cases.scorer)
        another = "another run" if of_scorer else "other seeds"
        others = f" ({another} could differ)" if compared is None or compared.change is None else ""
        drawn = "such test sets" if compared is None else words.drawn(compared, of_scorer=of_scorer)
        return f"{found}: by chance alone, {_of(p, drawn)} would look like this{others}"
    return f"{found}: chance from {between} to {between} would look like this in {_of(p, 'cases')}"


def _found_in_cases(row: Row, style: Style) -> str:
    clear = _clear(row, style)
    if clear:
        return clear
    if row.verdict is Verdict.WORSE:
        return _COUNTED if row.decision is None else "not cleared by these runs"
    if row.verdict is not Verdict.CANT_TELL:
        return "undecided"
    several = row.cases is not None and row.cases.compared is not None and row.cases.compared.change is not None
    return "undecided: too few runs or cases" if several else "undecided: too few cases"


def _of(p: float, what: str) -> str:
    if p < LEAST_CHANCE:
        return f"fewer than 1 of 1,000 {what}"
    of = 1000 if p < 10 * LEAST_CHANCE else 100
    return f"at most {math.ceil(round(p * of, 6))} of {of:,} {what}"


@dataclass(frozen=True, slots=True)
class _OfModel:
    report: Report
    model: ModelReport
    style: Style

    @property
    def _target(self) -> str:
        if self.model.version is not None:
            return f"version {self.style.text(self.model.version.semver)}"
        if self.model.imported is not None:
            return "the imported baseline"
        return self.style.text(self.report.against)

    def line(self) -> Line | None:
        compared = self.model.comparison
        if compared.best is None or self.report.waiting:
            return None
        if compared.baseline is None:
            return Line("How sure", f"nothing can be said yet: {self._no_baseline()}.")
        parts = self._found()
        if not parts:
            return None
        parts += [f"{capital(remark)}." for remark in self.model.remarks]
        if not self.model.touched:
            parts.append("The merge request changes nothing under the model's paths, so its rules don't apply.")
        return Line("How sure", " ".join(parts))

    def _found(self) -> list[str]:
        """Say how sure it is what the heading says; nothing where that can't be said."""
        change, row = self._telling(), self._named()
        if row is not None and row.cases is None and row.is_about_cases:
            return [f"{_COUNTED}; 1 run on each side."] if row.verdict is Verdict.WORSE else []
        if row is not None and row.cases is not None and row.cases.compared is not None:
            return self._of_cases(row, row.cases.compared)
        if change is None or change.baseline is None or change.current is None:
            return []
        return [f"{self._state(change, row)}.", *self._more_of(change)]

    def _named(self) -> Row | None:
        """Return the row of what the heading says of this model."""
        named = self.model.conclusion.worst or self.model.conclusion.best
        if named is not None:
            return row_of([self.model], named)
        return None if self._telling() is not None else first_table(self.model)

    def _of_cases(self, row: Row, compared: CaseComparison) -> list[str]:
        """Say how sure it is what a table of cases shows. Broken cases are counted between one run a side."""
        on = "1 run on each side"
        if row.is_tested and compared.change is not None:
            here, there = compared.change.runs
            on = f"{there} runs of the baseline, {here} here"
        on += f", which answered the same {words.count(compared.cases)}"
        parts = [f"{_found_in_cases(row, self.style)}; {on}."]
        if row.verdict is Verdict.CANT_TELL:
            return [*parts, *([f"{capital(row.advice)}."] if row.advice else [])]
        return parts

    def _state(self, change: MetricChange, row: Row | None) -> str:
        """Say how sure what the heading says is, and on how many runs that rests."""
        runs = self._runs(change)
        if self.model.comparison.incomparable:
            return f"nothing can be compared with {self._target}; {runs}"
        between = "fold" if self._folds(change) else "run"
        clear = "" if row is None else _clear(row, self.style, between=between)
        if clear:
            return f"{clear}. {runs}"
        if row is not None and row.verdict is Verdict.WORSE:
            if row.is_bar:
                return f"this is the value as measured, not a test; {runs}"
            return f"it needs no test; {runs}" if row.decision is None else f"not cleared by these runs; {runs}"
        verdict = row.verdict if row is not None else change.verdict
        return f"{_WITHOUT_FINDING.get(verdict, 'undecided')}; {runs}"

    def _more_of(self, change: MetricChange) -> list[str]:
        compared = self.model.comparison
        if compared.incomparable:
            return []
        if change.verdict is Verdict.CANT_TELL:
            return [f"{capital(change.sentence.partition('; ')[2] or change.sentence)}."]
        if change.verdict is Verdict.NO_CLEAR_CHANGE and change.advice:
            return [f"In {self.style.name(change.name)}, {change.advice}; a smaller one may go unseen."]
        return []

    def _telling(self) -> MetricChange | None:
        """Choose the metric that the heading is about, or else the one that ranks."""
        found = self.model.conclusion
        name = found.worst.metric if found.worst else found.best.metric if found.best else self.model.comparison.rank_by
        metrics = self.model.comparison.metrics
        named = next((one for one in metrics if one.name == name and one.baseline and one.current), None)
        return named or next((one for one in metrics if one.baseline and one.current), None)

    def _runs(self, change: MetricChange) -> str:
        """Count the runs in the order of the table's columns."""
        compared, level = self.model.comparison, change.level
        before = change.baseline.n if change.baseline else 0
        here = f"{change.current.n if change.current else 0} here"
        if compared.groups > 1 and not compared.confirmed:
            here += f" (the best of {compared.groups} candidates)"
        if compared.pooled:
            here += f" ({compared.pooled} of them by earlier pipelines on the same files)"
        if folds_compared := self._folds(change):
            on = "on" if self.model.version is None and self.model.imported is None else "of"
            return f"{folds_compared} folds are compared one by one with those {on} {self._target}"
        pipelines = 1 if level is None else level.pipelines
        runs = before if level is None else level.runs
        if self.model.version is not None:
            earlier = f" and {runs - before} of {count(pipelines - 1, 'earlier pipeline')}" if pipelines > 1 else ""
            return f"{count(before, 'run')} of {self._target}{earlier}, {here}"
        if self.model.imported is not None:
            return f"{count(before, 'imported run')}, {here}"
        among = f" (in {pipelines} pipelines)" if pipelines > 1 else ""
        return f"{count(runs, 'run')} on {self._target}{among}, {here}"

    def _folds(self, change: MetricChange) -> int:
        """Count the folds that are compared pair by pair; 0 if none are."""
        compared = self.model.comparison
        pair_by = (self.model.model or NO_CONTRACT).pair_by
        if not pair_by or compared.best is None or compared.baseline is None:
            return 0
        paired = folds.paired(compared.baseline.runs, compared.best.runs, change.name, pair_by)
        return 0 if paired is None else int(paired.freedom) + 1

    def _no_baseline(self) -> str:
        model, target = self.model, self.style.text(self.report.target)
        wanted = (model.model or NO_CONTRACT).baseline
        if model.gone is not None:
            return gone_sentence(model.gone)
        if model.version is not None:
            return f"no verified run of version {self.style.text(model.version.semver)} is left"
        if wanted.kind is BaselineKind.VERSION:
            return f"there is no version {self.style.text(wanted.name)} to compare with"
        if wanted.kind is BaselineKind.ALIAS:
            return f"no version is {self.style.text(wanted.name)} yet"
        if model.evaluations and not model.comparison.metrics:
            return f"no pipeline of {target} has evaluated this yet"
        return f"no pipeline of {target} has trained this model yet"
