"""What is said about a whole report: the worst of all its models and whether it blocks, then the best."""

from dataclasses import dataclass

from mltrail_contract import FILE_NAME, Outcome
from mltrail_server.domain.conclusion import Finding, Level
from mltrail_server.domain.numbers import count
from mltrail_server.domain.verdict import Verdict
from mltrail_server.services.review import rows
from mltrail_server.services.review.judged import ModelReport
from mltrail_server.services.review.reports import Report
from mltrail_server.services.review.rows import Row

from . import metrics
from .model import silent
from .style import ICONS, Line, Style

_QUIET = (Verdict.NO_CLEAR_CHANGE, Verdict.WITHIN_LIMIT)


@dataclass(frozen=True, slots=True)
class OfReport:
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
        return ICONS[self._level]

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
        return self.style.text(self.report.against)

    def _worst(self) -> str | None:
        """Name what is worst: a broken rule, a model that fails because it is silent, what is worse, what is silent,
        and what can't be told.
        """
        worst = self.report.conclusion.worst
        failing = self._silent(Outcome.FAIL)
        if failing is not None and (worst is None or worst.outcome is not Outcome.FAIL):
            return failing
        warning = self._silent(Outcome.WARN)
        if warning is not None and (worst is None or worst.verdict is not Verdict.WORSE):
            return warning
        if worst is not None:
            return self._named(worst)
        judged = self.report.gate
        return judged.sentence if judged.outcome in (Outcome.FAIL, Outcome.WARN) else None

    def _silent(self, outcome: Outcome) -> str | None:
        for model in self.report.models:
            if model.silence is not None and model.silence.outcome is outcome:
                return f"{self.style.name(model.name)} is {silent(model.silence)}"
        return None

    def _named(self, worst: Finding) -> str:
        row = metrics.row_of(self.report.models, worst)
        model, of = self._model_of(worst), self._of(worst)
        target = "the imported baseline" if model.imported is not None else self._target
        text = metrics.worst(row, worst, self.style, model=model, target=target, of=of)
        others = sum(row.verdict is Verdict.WORSE for _, row in self._others())
        return f"{text}; {count(others, 'other is', 'others are')} worse too" if others > 0 else text

    def _of(self, finding: Finding) -> str:
        return f" of {self.style.name(finding.model)}" if finding.model else ""

    def _model_of(self, finding: Finding) -> ModelReport:
        models = self.report.models
        return next((one for one in models if one.name == finding.model), models[0])

    def _metrics(self) -> list[tuple[str, Row]]:
        return [
            (model.name, row) for model in self.report.models for row in metrics.of_model(model) if not row.is_aside
        ]

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
        """Return the row of the metric that ranks, if there is one model; where none does, that of a table of cases."""
        if len(self.report.models) != 1:
            return None
        (model,) = self.report.models
        ranking = (row for row in metrics.of_model(model) if row.metric == model.comparison.rank_by)
        return next(ranking, None) or metrics.first_table(model)

    def _nothing_worse(self) -> str:
        best = self.report.conclusion.best
        if best is not None:
            return f"nothing is clearly worse, and {self._better(best)}"
        alone = self.style.name(self.report.models[0].name) if len(self.report.models) == 1 else ""
        if self._is_without_baseline:
            return f"there is nothing to compare {alone or 'the models'} with yet"
        headline = self._headline()
        if headline is not None and headline.is_new:
            return f"{self.style.name(headline.metric)} of {alone} has no baseline yet"
        if self._is_undecided:
            return f"can't tell yet whether {self._undecided()}"
        found = [(row, "") for _, row in self._metrics() if row.verdict in _QUIET]
        counted = metrics.counted(found, self.style, other=False)
        return f"nothing stands out{f' in {alone}' if alone else ''}: {counted}"

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
        return f"{self.style.name(headline.metric)} of {name} is worse{metrics.undecided(headline, headline.means)}"

    def _better(self, best: Finding, *, verb: str = " is better") -> str:
        row = metrics.row_of(self.report.models, best)
        # With one model, the heading has said which.
        of = self._of(best) if len(self.report.models) > 1 or not self._heading_names_worst else ""
        return f"{self.style.name(best.metric)}{of}{verb}{f', {rows.values(row)}' if row else ''}"

    def best(self) -> Line | None:
        """Name the best, where the heading has not, and count the rest."""
        if self.report.waiting or not any(model.comparison.metrics or model.cases for model in self.report.models):
            return None
        best, named = self.report.conclusion.best, self._heading_names_worst
        better = sum(row.verdict is Verdict.BETTER for _, row in self._others())
        parts = []
        if named:
            parts.append(self._better(best, verb="") if best is not None else self._nothing_better())
        if better:
            parts.append(f"{count(better, 'other is', 'others are')} better too")
        parts.append(self._rest())
        text = "; ".join(part for part in parts if part)
        return Line("Better" if best is not None and named else "Other metrics", f"{text}.") if text else None

    def _nothing_better(self) -> str:
        """Say that no gain was found; "" where nothing could be compared, so that none was looked for."""
        worst = self.report.conclusion.worst
        return "" if worst is not None and worst.verdict is Verdict.CANT_TELL else "nothing is clearly better"

    def _rest(self) -> str:
        """Count what neither the heading nor the best is about."""
        several = len(self.report.models) > 1
        found = [
            (row, f"{self.style.name(row.metric)}{f' of {self.style.name(model)}' if several else ''}")
            for model, row in self._others()
        ]
        best = self.report.conclusion.best
        if not self._heading_names_worst and best is None and not self._is_without_baseline and not self._is_undecided:
            found = [one for one in found if one[0].verdict is Verdict.CANT_TELL]  # the heading counts the others
        return metrics.counted(found, self.style)

    @property
    def _heading_names_worst(self) -> bool:
        return self._contract() is not None or self._worst() is not None
