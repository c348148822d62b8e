"""What a report says first: the worst thing by name and whether it blocks, the best, how sure that is, what a merge
brings, and what has changed. The note, the pages and the job's log say the same.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mltrail_contract import FILE_NAME, BaselineKind, Outcome, Then
from mltrail_server.domain import folds
from mltrail_server.domain.comparison import NO_CONTRACT, MetricChange
from mltrail_server.domain.conclusion import Finding, Level
from mltrail_server.domain.gate import SAME_DATA
from mltrail_server.domain.grouping import Run, RunState
from mltrail_server.domain.numbers import number
from mltrail_server.domain.preview import Preview
from mltrail_server.domain.silence import Silence, SilenceKind
from mltrail_server.domain.verdict import Verdict

from . import rows
from .judge import ModelReport, gone_sentence
from .reports import Report
from .rows import Row

_ICONS = {Level.GOOD: "✅", Level.BAD: "⚠️", Level.NEUTRAL: "\N{HEAVY MINUS SIGN}", Level.UNKNOWN: "❔"}
_QUIET = (Verdict.NO_CLEAR_CHANGE, Verdict.WITHIN_LIMIT)
_MOST_NAMED = 3
_FEW = 2
_SMALLEST_CHANCE = 0.001
_UNCHANGED = "merge requests that change nothing"
_FORK = (
    "a fork's pipelines can be run by people without access to this project, so their runs are kept apart: they are no "
    "baseline, and nothing of them is promoted. To have the models judged, run the pipeline in this project."
)
_NOT_COUNTED = {
    RunState.FAILED: "failed",
    RunState.CANCELED: "canceled",
    RunState.RUNNING: "still running",
    RunState.SUPERSEDED: "of a job that was retried",
    RunState.UNVERIFIED: "without a verified job",
    RunState.DELETED: "deleted by their own job",
    RunState.GONE: "removed for good",
}


@dataclass(frozen=True, slots=True)
class Style:
    """How to write what users have named, so that it is safe where it is shown: a name, a text of theirs in a sentence,
    and a link to a run.
    """

    name: Callable[[str], str]
    text: Callable[[str], str]
    run: Callable[[Run], str]


PLAIN = Style(str, str, lambda run: run.name)


@dataclass(frozen=True, slots=True)
class Line:
    label: str
    text: str


@dataclass(frozen=True, slots=True)
class Summary:
    icon: str
    heading: str
    lines: tuple[Line, ...]


def of_report(report: Report, style: Style) -> Summary:
    """Say what a whole report says. Where there is one model, all that is said of it is said here."""
    said = _Said(report, style)
    lines = [said.best(), *said.to_do()]
    if len(report.models) == 1:
        lines += of_model(report, report.models[0], style)
    elif (chance := said.chance()) is not None:
        lines.append(Line("How sure", chance))
    return Summary(said.icon, said.heading, tuple(line for line in lines if line is not None))


def of_model(report: Report, model: ModelReport, style: Style) -> list[Line]:
    """Say of one model how sure it is, what a merge brings, and what has changed."""
    said = _SaidOfModel(report, model, style)
    found = (said.how_sure(), said.on_merge(), said.changed(), said.not_counted())
    return [line for line in found if line is not None]


def heading_of_model(model: ModelReport, style: Style) -> tuple[str, str]:
    """Return an icon, and the model's name with the worst thing about it."""
    if model.silence is not None:
        return _icon_of(model), f"{style.name(model.name)} is {_silent(model.silence)}"
    found = model.conclusion
    if found.worst is not None:
        worst = _row_of([model], found.worst)
        return _icon_of(
            model
        ), f"{style.name(model.name)}: {_is_worst(worst, found.worst, style, model=model, target='the baseline')}"
    return _icon_of(model), f"{style.name(model.name)}: {_nothing_worse(model)}"


def of_one_among_many(model: ModelReport, style: Style) -> tuple[str, str, str]:
    """Return an icon, the worst and the best of a model for a list of models; "" where there is none."""
    icon, found = _icon_of(model), model.conclusion
    if model.silence is not None:
        return icon, _silent(model.silence), ""
    worst = best = ""
    if found.worst is not None:
        worst = _is_worst(_row_of([model], found.worst), found.worst, style, model=model, target="the baseline")
    if found.best is not None:
        row = _row_of([model], found.best)
        best = f"{style.name(found.best.metric)} is better{f', {rows.values(row)}' if row else ''}"
    if model.comparison.baseline is None or not model.comparison.metrics:
        return icon, worst or found.sentence, best
    others = "" if worst or best else _counted([(row, "") for row in _metrics(model)], style, other=False)
    return icon, worst or others, best


def _icon_of(model: ModelReport) -> str:
    if model.outcome is Outcome.FAIL:
        return "❌"
    if model.outcome is Outcome.WARN:
        return "❔" if model.conclusion.level is Level.UNKNOWN else "⚠️"
    return _ICONS[model.conclusion.level]


def _nothing_worse(model: ModelReport) -> str:
    found = rows.of(model)
    better = sum(row.verdict is Verdict.BETTER for row in found)
    if better:
        return f"{count(better, 'metric is', 'metrics are')} better"
    return model.conclusion.sentence


@dataclass(frozen=True, slots=True)
class _Said:
    report: Report
    style: Style

    @property
    def icon(self) -> str:
        report = self.report
        if report.waiting:
            return "⏳"
        if report.override is not None:
            return "☑️"
        if report.outcome is Outcome.FAIL:
            return "❌"
        if report.outcome is Outcome.WARN:
            return "❔" if self._level is Level.UNKNOWN and not report.gate.contract.problems else "⚠️"
        if report.outcome is Outcome.PASS and self._level is Level.NEUTRAL:
            return "✅"
        return _ICONS[self._level]

    @property
    def _level(self) -> Level:
        return self.report.conclusion.level

    @property
    def heading(self) -> str:
        report = self.report
        if report.waiting:
            return f"Still training: {report.reason}"
        found = self._contract() or self._worst()
        if found is not None:
            return f"{self._prefix(bad=True)}{found}"
        if not report.runs and not report.carries:
            if report.fork:
                return "No runs that count: this merge request comes from a fork"
            of_older = report.head not in ("", report.pipeline.head)
            return "No runs: the newest commit has none" if of_older else "No runs: this pipeline has logged none"
        return f"{self._prefix(bad=False)}{self._nothing_worse()}"

    def _prefix(self, *, bad: bool) -> str:
        report = self.report
        fails = report.outcome is Outcome.FAIL
        if fails and report.override is not None:
            return "Does not block, since it was accepted: "
        if report.merge_request is None:
            return "The gate fails: " if fails else ""
        if fails:
            return "Blocks the merge: "
        return f"Does not block{self._why_not}, but " if bad else "Does not block: "

    @property
    def _why_not(self) -> str:
        """Say why something that is worse does not block."""
        worst = self.report.conclusion.worst
        if self._contract() or worst is None or worst.verdict is not Verdict.WORSE:
            return ""
        return " (its rule only warns)" if worst.outcome is Outcome.WARN else " (it has no rule)"

    def _contract(self) -> str | None:
        """Say what is wrong with the contract file, if nothing can be judged by it."""
        judged = self.report.gate
        if judged.contract.problems:
            if any(model.rulings for model in judged.models):
                return judged.sentence
            return f"{self.style.text(FILE_NAME)} on {self._target} can't be read, so no rule was checked"
        return None if self.report.contract_read else judged.sentence

    @property
    def _target(self) -> str:
        return self.style.text(self.report.target or self.report.pipeline.ref)

    def _worst(self) -> str | None:
        """Name what is worst: a broken rule, a model that fails because it is silent, what is worse, what is silent,
        and what can't be told.
        """
        worst = self.report.conclusion.worst
        silent = self._silent(Outcome.FAIL)
        if silent is not None and (worst is None or worst.outcome is not Outcome.FAIL):
            return silent
        silent = self._silent(Outcome.WARN)
        if silent is not None and (worst is None or worst.verdict is not Verdict.WORSE):
            return silent
        if worst is not None:
            return self._named(worst)
        judged = self.report.gate
        return judged.sentence if judged.outcome in (Outcome.FAIL, Outcome.WARN) else None

    def _silent(self, outcome: Outcome) -> str | None:
        for model in self.report.models:
            if model.silence is not None and model.silence.outcome is outcome:
                return f"{self.style.name(model.name)} is {_silent(model.silence)}"
        return None

    def _named(self, worst: Finding) -> str:
        row = _row_of(self.report.models, worst)
        text = _is_worst(row, worst, self.style, of=self._of(worst), model=self._model_of(worst), target=self._target)
        others = sum(row.verdict is Verdict.WORSE for _, row in self._others())
        return f"{text}; {count(others, 'other is', 'others are')} worse too" if others > 0 else text

    def _of(self, finding: Finding) -> str:
        return f" of {self.style.name(finding.model)}" if finding.model else ""

    def _model_of(self, finding: Finding) -> ModelReport:
        models = self.report.models
        return next((one for one in models if one.name == finding.model), models[0])

    def _metrics(self) -> list[tuple[str, Row]]:
        return [(model.name, row) for model in self.report.models for row in _metrics(model)]

    def _others(self) -> list[tuple[str, Row]]:
        """List the metrics that neither the heading nor the best is about."""
        named = [one for one in (self.report.conclusion.worst, self.report.conclusion.best) if one is not None]
        left = [
            (model, row)
            for model, row in self._metrics()
            if not any(row.metric == one.metric and one.model in ("", model) for one in named)
        ]
        headline = self._headline() if not named else None
        undecided = headline is not None and self._is_undecided
        return [(model, row) for model, row in left if not (undecided and row == headline)]

    @property
    def _is_undecided(self) -> bool:
        quiet = any(row.verdict in _QUIET for _, row in self._metrics())
        return self._level is Level.UNKNOWN or not quiet

    def _headline(self) -> Row | None:
        """Return the row of the metric that ranks, if there is one model."""
        if len(self.report.models) != 1:
            return None
        (model,) = self.report.models
        return next((row for row in _metrics(model) if row.metric == model.comparison.rank_by), None)

    def _nothing_worse(self) -> str:
        best = self.report.conclusion.best
        if best is not None:
            return f"nothing is clearly worse, and {self._better(best)}"
        alone = self.style.name(self.report.models[0].name) if len(self.report.models) == 1 else ""
        if self._is_without_baseline:
            return f"there is nothing to compare {alone or 'the models'} with yet"
        headline = self._headline()
        if headline is not None and _is_new(headline):
            return f"{self.style.name(headline.metric)} of {alone} has no baseline yet"
        if self._is_undecided:
            return f"can't tell yet whether {self._undecided()}"
        found = [(row, "") for _, row in self._metrics() if row.verdict in _QUIET]
        counted = _counted(found, self.style, other=False)
        return f"nothing is clearly worse or better{f' in {alone}' if alone else ''}: {counted}"

    @property
    def _is_without_baseline(self) -> bool:
        return all(model.comparison.baseline is None for model in self.report.models)

    def _undecided(self) -> str:
        if len(self.report.models) != 1:
            return "anything is worse"
        (model,) = self.report.models
        headline, name = self._headline(), self.style.name(model.name)
        if headline is None:
            return f"anything in {name} is worse: {model.conclusion.sentence}"
        return f"{self.style.name(headline.metric)} of {name} is worse{_undecided(headline, headline.means)}"

    def _better(self, best: Finding, *, verb: str = " is better") -> str:
        row = _row_of(self.report.models, best)
        # With one model, the heading has said which.
        of = self._of(best) if len(self.report.models) > 1 or not self.heading_names_worst else ""
        return f"{self.style.name(best.metric)}{of}{verb}{f', {rows.values(row)}' if row else ''}"

    def best(self) -> Line | None:
        """Name the best, where the heading has not, and count the rest."""
        if self.report.waiting or not any(model.comparison.metrics for model in self.report.models):
            return None
        best, named = self.report.conclusion.best, self.heading_names_worst
        better = sum(row.verdict is Verdict.BETTER for _, row in self._others())
        parts = []
        if named:
            parts.append(self._better(best, verb="") if best is not None else "nothing is clearly better")
        if better:
            parts.append(f"{count(better, 'other is', 'others are')} better too")
        parts.append(self._rest())
        text = "; ".join(part for part in parts if part)
        return Line("Better" if best is not None and named else "Other metrics", f"{text}.") if text else None

    def _rest(self) -> str:
        """Count what neither the heading nor the best is about."""
        several = len(self.report.models) > 1
        found = [
            (row, f"{self.style.name(row.metric)}{f' of {self.style.name(model)}' if several else ''}")
            for model, row in self._others()
        ]
        best = self.report.conclusion.best
        if not self.heading_names_worst and best is None and not self._is_without_baseline and not self._is_undecided:
            found = [one for one in found if one[0].verdict is Verdict.CANT_TELL]  # the heading counts the others
        return _counted(found, self.style)

    @property
    def heading_names_worst(self) -> bool:
        return self._contract() is not None or self._worst() is not None

    def to_do(self) -> list[Line]:
        """Say what it means that a model was not trained, and what to do."""
        found = []
        if self.report.fork and not self.report.waiting:
            found.append(Line("Why", _FORK))
        for model in self.report.models[:_MOST_NAMED] if not self.report.waiting else ():
            silence = model.silence
            if silence is not None:
                name = f"{self.style.name(model.name)}: " if len(self.report.models) > 1 else ""
                found.append(Line("Why", f"{name}{_why_silent(self._target, silence)}"))
        do = self._do()
        return [*found, Line("To do", f"{do}.")] if do else found

    def _do(self) -> str:
        """Say what unblocks a merge that is blocked because something can't be told."""
        if self.report.outcome is not Outcome.FAIL or self.report.override is not None:
            return ""
        undecided = [
            self._same_data(model) if row.advice == SAME_DATA else row.advice
            for model in self.report.models
            for row in rows.of(model)
            if row.outcome is Outcome.FAIL and row.verdict is Verdict.CANT_TELL and row.advice
        ]
        contract = self.report.gate.contract.contract
        thread = contract is not None and contract.gate.thread
        accept = ", or let a maintainer accept it in the gate's thread" if thread else ""
        return f"{undecided[0]}{accept}" if undecided else ""

    def _same_data(self, model: ModelReport) -> str:
        """Say what makes a model comparable again."""
        which = self.style.name(model.name) if len(self.report.models) > 1 else "this model"
        named = model.model.same_dataset if model.model is not None else None
        dataset = f"{self.style.text(named)} dataset" if named else "dataset"
        return f"evaluate {which} on {self._target}'s {dataset}, or train {self._target} again on the new one"

    def chance(self) -> str | None:
        """Say how sure the worst is, or else the best, and how often chance alone would lead to such a report."""
        found = self.report.conclusion.worst or self.report.conclusion.best
        row = None if found is None else _row_of(self.report.models, found)
        clear = "" if row is None else _clear(row)
        return f"{clear}. {self.rate()}" if clear else None

    def rate(self) -> str:
        """Say how often merge requests that change nothing get such a report; "" where nothing was tested."""
        worst, best = self.report.conclusion.worst, self.report.conclusion.best
        if worst is not None and worst.verdict is Verdict.WORSE:
            row = _row_of(self.report.models, worst)
            if row is None or not row.is_found_worse:
                return ""
            return f"False alarms: at most 1 in 20 {_UNCHANGED}."
        if worst is None and best is not None:
            # Rules that can block and everything else are tested apart from each other.
            return f"False gains: at most 1 in {20 // max(1, self._families)} {_UNCHANGED}."
        return ""

    @property
    def _families(self) -> int:
        tested = [row for model in self.report.models for row in rows.of(model) if row.is_tested]
        return len({row.rule is not None and row.rule.then is Then.FAIL for row in tested})


def _metrics(model: ModelReport) -> list[Row]:
    """List each metric once, with the worst that is said of it."""
    found: dict[str, Row] = {}
    for row in rows.of(model):
        found.setdefault(row.metric, row)
    return list(found.values())


def _clear(row: Row, between: str = "seeds") -> str:
    """Say how often chance alone would show what a test has found; "" if it has found nothing. A test of cases has no
    evidence between runs.
    """
    decision = row.decision
    if decision is None or not (decision.worse if row.verdict is Verdict.WORSE else decision.better):
        return ""
    p = decision.p_worse if row.verdict is Verdict.WORSE else decision.p_better
    if decision.evidence is None:
        return f"clear: differences between test cases would do this in {_cases(p)} (other seeds could differ)"
    return f"clear: differences between {between} would do this in {_cases(p)} (another test set could differ)"


def _cases(p: float) -> str:
    if p < _SMALLEST_CHANCE:
        return "fewer than 1 of 1,000 cases"
    of = 1000 if p < 10 * _SMALLEST_CHANCE else 100
    return f"at most {math.ceil(round(p * of, 6))} of {of:,} cases"


def _counted(found: Sequence[tuple[Row, str]], style: Style, *, other: bool = True) -> str:
    """Say how many metrics have each of these verdicts, and name those of which nothing can be told."""
    names: dict[Verdict | None, list[str]] = {}
    for row, name in found:
        names.setdefault(None if _is_new(row) else row.verdict, []).append(name or style.name(row.metric))
    parts: list[str] = []
    for verdict, say in _COUNTED.items():
        if verdict in names:
            n = len(names[verdict])
            counted = str(n) if parts else count(n, "other metric" if other else "metric")
            named = " and ".join(names[verdict]) if n <= _FEW else counted
            parts.append(say(counted, named, n))
    return ", ".join(parts)


_COUNTED: dict[Verdict | None, Callable[[str, str, int], str]] = {
    Verdict.NO_CLEAR_CHANGE: lambda counted, _named, _n: f"no clear change in {counted}",
    Verdict.WITHIN_LIMIT: lambda counted, _named, n: f"{counted} within {'its limit' if n == 1 else 'their limits'}",
    Verdict.CANT_TELL: lambda _counted, named, _n: f"can't tell yet about {named}",
    None: lambda _counted, named, n: f"{named} {'has' if n == 1 else 'have'} no baseline yet",
}
"""How to say each verdict, in this order; None stands for what is new."""


def _is_new(row: Row) -> bool:
    return row.verdict is Verdict.CANT_TELL and row.means.endswith("no baseline yet")


def _why_silent(target: str, silence: Silence) -> str:
    if silence.kind is not SilenceKind.SILENT:
        return f"{silence.sentence}."
    return f"{target} has trained it, but no pipeline of this commit has logged a run of it that succeeded."


def _silent(silence: Silence) -> str:
    if silence.kind is SilenceKind.RED:
        return "not trained here, and failed in this merge request before"
    return "not trained here yet" if silence.kind in (SilenceKind.WAITING, SilenceKind.BUSY) else "not trained here"


def _row_of(models: Sequence[ModelReport], finding: Finding) -> Row | None:
    for model in models:
        if finding.model in ("", model.name):
            for row in rows.of(model):
                if (row.metric, row.verdict, row.outcome) == (finding.metric, finding.verdict, finding.outcome):
                    return row
            for row in rows.of(model):
                if (row.metric, row.verdict) == (finding.metric, finding.verdict):
                    return row
    return None


def _is_worst(row: Row | None, worst: Finding, style: Style, *, model: ModelReport, target: str, of: str = "") -> str:
    """Say of the worst what it is, with both values where they tell it."""
    name = f"{style.name(worst.metric)}{of}"
    means = row.means if row else worst.reason
    if worst.verdict is not Verdict.WORSE:
        if model.comparison.incomparable == means:
            return f"{_incomparable(model, style, target)}, so {name} can't be compared"
        return f"can't tell yet whether {name} is worse{_undecided(row, means)}"
    if row is None or row.now is None or not row.is_tested:
        return f"{name} is worse: {means}"
    if not row.is_found_worse:
        return f"{name} counts as worse, {rows.values(row)}: {row.advice}"
    limit = rows.limit(row)
    return f"{name} is worse, {rows.values(row)}{f' (allowed: {limit})' if limit else ''}"


def _incomparable(model: ModelReport, style: Style, target: str) -> str:
    """Say why a model can't be compared, with the name of the dataset that the contract names."""
    reason = (model.comparison.incomparable or "").removeprefix("not comparable: ")
    named = model.model.same_dataset if model.model is not None else None
    if named is None:
        return reason
    dataset = f"another {style.text(named)} dataset"
    reason = rows.with_dataset(reason, style.text(named))
    return reason.replace(f"{dataset} is used here", f"this merge request uses {dataset} than {target}")


def _undecided(row: Row | None, means: str) -> str:
    _, _, reason = means.partition("; ")
    if row is None or row.now is None or row.before is None or not reason:
        return f": {means.removeprefix('not comparable: ')}"
    # The values say how large the difference is.
    return f", {rows.values(row)}: {reason}"


@dataclass(frozen=True, slots=True)
class _SaidOfModel:
    report: Report
    model: ModelReport
    style: Style

    @property
    def _target(self) -> str:
        if self.model.version is not None:
            return f"version {self.style.text(self.model.version.semver)}"
        return self.style.text(self.report.target or self.report.pipeline.ref)

    def how_sure(self) -> Line | None:
        compared = self.model.comparison
        if compared.best is None or self.report.waiting:
            return None
        if compared.baseline is None:
            return Line("How sure", f"nothing can be said yet: {self._no_baseline()}.")
        change = self._telling()
        if change is None or change.baseline is None or change.current is None:
            return None
        parts = [f"{self._state(change)}.", *self._more_of(change)]
        parts += [f"{_capital(remark)}." for remark in self.model.remarks]
        if not self.model.touched:
            parts.append("The merge request changes nothing under the model's paths, so its rules don't apply.")
        return Line("How sure", " ".join(parts))

    def _state(self, change: MetricChange) -> str:
        """Say how sure what the heading says is, and on how many runs that rests."""
        runs, found = self._runs(change), self.model.conclusion
        if self.model.comparison.incomparable:
            return f"nothing can be compared; {runs}"
        named = found.worst or found.best
        row = None if named is None else _row_of([self.model], named)
        clear = "" if row is None else _clear(row, "folds" if self._folds(change) else "seeds")
        if clear:
            return f"{clear}. {runs}"
        if row is not None and row.verdict is Verdict.WORSE:
            return f"it needs no test; {runs}" if row.decision is None else f"not cleared by these runs; {runs}"
        verdict = row.verdict if row is not None else change.verdict
        if verdict is Verdict.WITHIN_LIMIT:
            return f"clearly within its limit; {runs}"
        return f"undecided; {runs}"

    def _more_of(self, change: MetricChange) -> list[str]:
        compared = self.model.comparison
        if compared.incomparable:
            return []
        if change.verdict is Verdict.CANT_TELL:
            return [f"{_capital(change.sentence.partition('; ')[2] or change.sentence)}."]
        rate = _Said(self.report, self.style).rate() if len(self.report.models) == 1 else ""
        found = [rate] if rate else []
        if change.verdict is Verdict.NO_CLEAR_CHANGE and change.advice:
            found.append(f"In {self.style.name(change.name)}, {change.advice}; a smaller one may go unseen.")
        return found

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
            return f"{folds_compared} folds are compared one by one with those on {self._target}"
        runs = before if level is None else level.runs
        return f"{count(runs, 'run')} on {self._target}, {here}"

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
        return f"no pipeline of {target} has trained this model yet"

    def on_merge(self) -> Line | None:
        preview = self.report.previews.get(self.model.name)
        if preview is None:
            nothing = self._nothing_promoted()
            return Line("On merge", f"nothing{nothing}.") if nothing else None
        name = self.style.name(self.model.name)
        if preview.refused is not None:
            return Line("On merge", f"{name} is not promoted as it is: {preview.refused}.")
        alias = self.style.text(preview.alias)
        replaces = f"replaces {preview.replaces} as {alias}" if preview.replaces else f"becomes {alias}"
        more = f" {preview.more}" if preview.more else ""
        return Line("On merge", f"{name} {preview.version} {replaces}{self._shipped(preview)}.{more}")

    def _nothing_promoted(self) -> str:
        """Say why a merge promotes no version; "" where that is not about a merge, or not known."""
        report, model = self.report, self.model
        if report.state != "ready" or report.merge_request is None or report.override is not None:
            return ""
        if model.outcome is Outcome.FAIL:
            return ", while the merge is blocked"
        if model.comparison.best_run is None:
            return " (no run has succeeded)"
        if model.model is None or model.model.promote is None:
            return f" ({self.style.text(FILE_NAME)} promotes no version)"
        return ""

    def _shipped(self, preview: Preview) -> str:  # noqa: ARG002
        """Name the run that is promoted, with its own value and the mean that was tested."""
        compared = self.model.comparison
        run, metric = compared.best_run, compared.rank_by
        if run is None or compared.best is None:
            return ""
        text = f": run {self.style.run(run)}"
        value = run.metrics.get(metric) if metric is not None else None
        if metric is None or value is None:
            return text
        found = compared.best.metrics.get(metric)
        if found is None or found.n == 1:
            return f"{text}, {self.style.name(metric)} {number(value)}"
        here, by = found.n - compared.pooled, f"by {self.style.name(metric)}"
        best = f"the best of {here} {by}" if here > 1 else by
        tested = ", which was tested," if compared.baseline is not None else ""
        of = f"the mean of {found.n} runs" if compared.pooled else "their mean"
        return f"{text}, {best} ({number(value)}; {of}{tested} is {number(found.mean)})"

    def changed(self) -> Line | None:
        compared = self.model.comparison
        if compared.best is None or compared.baseline is None:
            return None
        parts = [self._data(), self._code(), self._parameters()]
        if self.model.environment:
            parts.append(count(len(self.model.environment), "package"))
        unknown = "" if compared.datasets or self._logs_data else "; the runs don't say which data they used"
        unseen = "" if self._same_files else " A changed evaluation can't be told from a changed model."
        return Line("Changed", f"{', '.join(part for part in parts if part)}{unknown}.{unseen}")

    def _parameters(self) -> str:
        compared = self.model.comparison
        if compared.best is None or compared.baseline is None:
            return ""
        every = compared.best.params.keys() | compared.baseline.params.keys()
        if not compared.parameters:
            return f"none of {count(len(every), 'parameter')}" if every else "no parameter is logged"
        return f"{len(compared.parameters)} of {count(len(every), 'parameter')}"

    @property
    def _same_files(self) -> bool:
        same = self.model.baseline is not None and self.model.baseline.sha == self.report.pipeline.sha
        return same or self.report.changed_files == 0

    def _code(self) -> str:
        if self._same_files:
            return "no file"
        files = self.report.changed_files
        return "files" if files is None else count(files, "file")

    def _data(self) -> str:
        if self.model.comparison.datasets:
            return "the data (which may be why the numbers differ)"
        return "no data" if self._logs_data else ""

    @property
    def _logs_data(self) -> bool:
        sides = (self.model.comparison.best, self.model.comparison.baseline)
        return all(side is not None and any(run.datasets for run in side.runs) for side in sides)

    def not_counted(self) -> Line | None:
        """Say what doesn't count, and why."""
        runs = self.model.runs
        found = [
            f"{count(number_of, 'run')} {word}"
            for state, word in _NOT_COUNTED.items()
            if (number_of := sum(run.state is state for run in runs))
        ]
        amended = [run for run in runs if run.amended]
        if amended:
            more = f" and {len(amended) - 1} more" if len(amended) > 1 else ""
            found.append(f"what others wrote to {self.style.run(amended[0])}{more} after the job had ended")
        return Line("Not counted", f"{'; '.join(found)}.") if found and not self.report.waiting else None


def _capital(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}"


def count(number_of: int, noun: str, plural: str = "") -> str:
    return f"{number_of} {noun}" if number_of == 1 else f"{number_of} {plural or noun + 's'}"
