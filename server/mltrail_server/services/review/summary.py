"""What a report says first: the worst thing by name and whether it blocks, the best, how sure that is, what a merge
brings, and what has changed. The note, the pages and the job's log say the same.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from mltrail_contract import FILE_NAME, BaselineKind, Outcome, Then
from mltrail_server.domain import folds
from mltrail_server.domain.comparison import NO_CONTRACT, MetricChange
from mltrail_server.domain.conclusion import Finding, Level
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
_UNCHANGED = "If nothing had changed,"
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
        return _icon_of(model), f"{style.name(model.name)}: {_is_worst(worst, found.worst, style, of='')}"
    return _icon_of(model), f"{style.name(model.name)}: {_nothing_worse(model)}"


def of_one_among_many(model: ModelReport, style: Style) -> tuple[str, str, str]:
    """Return an icon, the worst and the best of a model for a list of models; "" where there is none."""
    icon, found = _icon_of(model), model.conclusion
    if model.silence is not None:
        return icon, _silent(model.silence), ""
    worst = best = ""
    if found.worst is not None:
        worst = _is_worst(_row_of([model], found.worst), found.worst, style, of="")
    if found.best is not None:
        row = _row_of([model], found.best)
        best = f"{style.name(found.best.metric)} is better{f', {rows.values(row)}' if row else ''}"
    if model.comparison.baseline is None or not model.comparison.metrics:
        return icon, worst or found.sentence, best
    verdicts = [row.verdict for row in rows.of(model)]
    others = _counted(
        {verdict: verdicts.count(verdict) for verdict in Verdict},
        [*_QUIET, Verdict.CANT_TELL],
    )
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
        return "Does not block, but " if bad else "Does not block: "

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
        of = f" of {self.style.name(worst.model)}" if len(self.report.models) > 1 and worst.model else ""
        text = _is_worst(row, worst, self.style, of=of)
        others = self._counts()[Verdict.WORSE] - (worst.verdict is Verdict.WORSE)
        return f"{text}; {count(others, 'other is', 'others are')} worse too" if others > 0 else text

    def _counts(self) -> dict[Verdict, int]:
        found = [row.verdict for model in self.report.models for row in rows.of(model)]
        return {verdict: found.count(verdict) for verdict in Verdict}

    def _nothing_worse(self) -> str:
        best = self.report.conclusion.best
        if best is not None:
            return f"nothing is clearly worse, and {self._better(best)}"
        if self._is_without_baseline:
            return "there is nothing to compare with yet"
        counts = self._counts()
        if self._level is Level.UNKNOWN or not counts[Verdict.NO_CLEAR_CHANGE] + counts[Verdict.WITHIN_LIMIT]:
            return f"can't tell yet whether {self._undecided()}"
        return _counted(counts, _QUIET)

    @property
    def _is_without_baseline(self) -> bool:
        return all(model.comparison.baseline is None for model in self.report.models)

    def _undecided(self) -> str:
        if len(self.report.models) != 1:
            return "anything is worse"
        (model,) = self.report.models
        headline = next((row for row in rows.of(model) if row.metric == model.comparison.rank_by), None)
        if headline is None:
            return f"anything is worse: {model.conclusion.sentence}"
        return f"{self.style.name(headline.metric)} is worse{_undecided(headline, headline.means)}"

    def _better(self, best: Finding) -> str:
        row = _row_of(self.report.models, best)
        of = f" of {self.style.name(best.model)}" if len(self.report.models) > 1 and best.model else ""
        return f"{self.style.name(best.metric)}{of} is better{f', {rows.values(row)}' if row else ''}"

    def best(self) -> Line | None:
        """Name the best, where the heading has not, and count the rest."""
        if self.report.waiting or not any(model.comparison.metrics for model in self.report.models):
            return None
        best, named, better = self.report.conclusion.best, self.heading_names_worst, self._counts()[Verdict.BETTER]
        parts = []
        if named:
            parts.append(self._better(best) if best is not None else "nothing is clearly better")
        if best is not None and better > 1:
            parts.append(f"{count(better - 1, 'other is', 'others are')} better too")
        parts.append(self._rest())
        text = "; ".join(part for part in parts if part)
        return Line("Best" if best is not None and named else "The rest", f"{text}.") if text else None

    def _rest(self) -> str:
        """Count what neither the heading nor the best is about."""
        counts, worst, best = self._counts(), self.report.conclusion.worst, self.report.conclusion.best
        undecided = worst.verdict is Verdict.CANT_TELL if worst is not None else self._level is Level.UNKNOWN
        if undecided and len(self.report.models) == 1:
            counts[Verdict.CANT_TELL] -= 1  # the heading names it
        in_heading = not self.heading_names_worst and best is None and not self._is_without_baseline
        return _counted(counts, [Verdict.CANT_TELL] if in_heading else [*_QUIET, Verdict.CANT_TELL])

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
        return found

    def chance(self) -> str | None:
        """Say how often chance alone would lead to such a report."""
        worst, best = self.report.conclusion.worst, self.report.conclusion.best
        if worst is not None and worst.verdict is Verdict.WORSE:
            row = _row_of(self.report.models, worst)
            if row is None or not row.is_tested:
                return None
            found = "be blocked" if worst.outcome is Outcome.FAIL else "get such a warning"
            return f"{_UNCHANGED} at most 1 in 20 merge requests would {found} by chance."
        if worst is None and best is not None:
            # Rules that can block and everything else are tested apart from each other.
            return f"{_UNCHANGED} at most 1 in {20 // max(1, self._families)} would look better by chance."
        return None

    @property
    def _families(self) -> int:
        tested = [row for model in self.report.models for row in rows.of(model) if row.is_tested]
        return len({row.rule is not None and row.rule.then is Then.FAIL for row in tested})


def _counted(counts: Mapping[Verdict, int], said: Sequence[Verdict]) -> str:
    """Say how many metrics have each of these verdicts."""
    parts = []
    for verdict in said:
        n = counts[verdict]
        if n and verdict is Verdict.NO_CLEAR_CHANGE:
            parts.append(f"no clear change in {count(n, 'metric')}")
        elif n and verdict is Verdict.WITHIN_LIMIT:
            parts.append(f"{n} within {'its limit' if n == 1 else 'their limits'}")
        elif n > 0:
            parts.append(f"can't tell yet about {n}")
    return ", ".join(parts)


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


def _is_worst(row: Row | None, worst: Finding, style: Style, *, of: str) -> str:
    """Say of the worst what it is, with both values where they tell it."""
    name = f"{style.name(worst.metric)}{of}"
    means = row.means if row else worst.reason
    if worst.verdict is not Verdict.WORSE:
        return f"can't tell yet whether {name} is worse{_undecided(row, means)}"
    if row is None or row.now is None or not row.is_tested:
        return f"{name} is worse: {means}"
    if not row.is_found_worse:
        return f"{name} counts as worse, {rows.values(row)}: {row.advice}"
    return f"{name} is worse, {rows.values(row)}{_allowed(row)}"


def _undecided(row: Row | None, means: str) -> str:
    _, _, reason = means.partition("; ")
    if row is None or row.now is None or row.before is None or not reason:
        return f": {means.removeprefix('not comparable: ')}"
    # The values say how large the difference is.
    return f", {rows.values(row)}: {reason}"


def _allowed(row: Row) -> str:
    allowed = rows.allowed(row)
    return f" (allowed: {allowed})" if allowed else ""


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
        parts = [f"{self._runs(change)}.", *self._how_sure_of(change)]
        parts += [f"{_capital(remark)}." for remark in self.model.remarks]
        if not self.model.touched:
            parts.append("The merge request changes nothing under the model's paths, so its rules don't apply.")
        return Line("How sure", " ".join(parts))

    def _how_sure_of(self, change: MetricChange) -> list[str]:
        compared = self.model.comparison
        if compared.incomparable:
            return [f"But {compared.incomparable}."]
        if change.verdict is Verdict.CANT_TELL:
            return [f"{_capital(change.sentence.partition('; ')[2] or change.sentence)}."]
        chance = _Said(self.report, self.style).chance() if len(self.report.models) == 1 else None
        found = [chance] if chance else []
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
        here = count(change.current.n if change.current else 0, "run") + " here"
        if compared.pooled:
            here += f" ({compared.pooled} of them by earlier pipelines on the same files)"
        if folds_compared := self._folds(change):
            return f"{folds_compared} folds are compared one by one with those on {self._target}"
        runs = before if level is None else level.runs
        return f"{count(runs, 'run')} on {self._target} {'is' if runs == 1 else 'are'} compared with {here}"

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
            return None
        name = self.style.name(self.model.name)
        if preview.refused is not None:
            return Line("On merge", f"{name} is not promoted as it is: {preview.refused}.")
        alias = self.style.text(preview.alias)
        replaces = f"replaces {preview.replaces} as {alias}" if preview.replaces else f"becomes {alias}"
        more = f" {preview.more}" if preview.more else ""
        return Line("On merge", f"{name} {preview.version} {replaces}{self._shipped(preview)}.{more}")

    def _shipped(self, preview: Preview) -> str:  # noqa: ARG002
        """Name the run that is promoted, its own value, and the mean that was tested."""
        compared = self.model.comparison
        run, metric = compared.best_run, compared.rank_by
        if run is None or compared.best is None:
            return ""
        text = f": run {self.style.run(run)}"
        value = run.metrics.get(metric) if metric is not None else None
        if metric is None or value is None:
            return text
        text += f", {self.style.name(metric)} {number(value)}"
        summary = compared.best.metrics.get(metric)
        if summary is not None and summary.n > 1:
            text += f" (the mean of its {summary.n} runs is {number(summary.mean)})"
        return text

    def changed(self) -> Line | None:
        compared = self.model.comparison
        if compared.best is None or compared.baseline is None:
            return None
        parts = [self._code(), self._parameters(), self._data()]
        if self.model.environment:
            parts.append(count(len(self.model.environment), "package"))
        return Line("Changed", f"{', '.join(part for part in parts if part)}.{self._unknowable()}")

    def _parameters(self) -> str:
        compared = self.model.comparison
        if compared.best is None or compared.baseline is None:
            return ""
        every = compared.best.params.keys() | compared.baseline.params.keys()
        if not compared.parameters:
            return "no parameter"
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
            return "the data"
        return "no data" if self._logs_data else ""

    @property
    def _logs_data(self) -> bool:
        sides = (self.model.comparison.best, self.model.comparison.baseline)
        return all(side is not None and any(run.datasets for run in side.runs) for side in sides)

    def _unknowable(self) -> str:
        """Say what the numbers can't show."""
        if self.model.comparison.datasets:
            return " The data are not the same, which may be why the numbers differ."
        found = "" if self._same_files else " If the way of measuring changed too, these numbers can't show it."
        return found if self._logs_data else f"{found} The runs don't say which data they used."

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
