"""Which run a merge promotes, what has changed since the baseline's, and which runs don't count."""

from dataclasses import dataclass

from mltrail_contract import FILE_NAME, Outcome
from mltrail_server.domain.grouping import Run, RunState
from mltrail_server.domain.numbers import count, number
from mltrail_server.services.review import rows
from mltrail_server.services.review.judged import ModelReport
from mltrail_server.services.review.reports import Report

from . import metrics
from .style import Line, Style

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
class OfRuns:
    report: Report
    model: ModelReport
    style: Style

    def on_merge(self) -> Line | None:
        preview = self.report.previews.get(self.model.name)
        if preview is None:
            nothing = self._nothing_promoted()
            return Line("On merge", f"nothing is promoted{nothing}.") if nothing else None
        name = self.style.name(self.model.name)
        if preview.refused is not None:
            return Line("On merge", f"{name} is not promoted as it is: {preview.refused}.")
        alias = self.style.text(preview.alias)
        replaces = f"replaces {preview.replaces} as {alias}" if preview.replaces else f"becomes {alias}"
        more = f" {preview.more}" if preview.more else ""
        return Line("On merge", f"{name} {preview.version} {replaces}{self._shipped()}.{more}")

    def _nothing_promoted(self) -> str:
        """Say why a merge promotes no version; "" where that is not about a merge, or not known."""
        report, model = self.report, self.model
        if report.state != "ready" or report.merge_request is None or report.override is not None:
            return ""
        if model.model is None or model.model.promote is None:
            return f" (no promotion is set up in {self.style.text(FILE_NAME)})"
        if model.outcome is Outcome.FAIL:
            return " while the merge is blocked"
        return " (no run has succeeded)" if model.comparison.best_run is None else ""

    def _shipped(self) -> str:
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
        here = found.n - compared.pooled
        best = f"the best of {here}" if here > 1 else "the best"
        own = f"{number(value)} (mean {number(found.mean)}){self._other_value(run)}"
        every = "" if compared.pooled else "all "
        by = self.style.name(metric)
        return f"{text}, {best} by {by}: {own}; the table shows the means of {every}{found.n} runs"

    def _other_value(self, run: Run) -> str:
        """Give the run's own value in another metric, the worst: what is promoted is not the table's means."""
        for row in metrics.of_model(self.model):
            value = run.metrics.get(row.metric)
            if row.metric == self.model.comparison.rank_by or value is None or row.now is None:
                continue
            if value != row.now.mean:
                own = f"{number(value)} {rows.unit(row)}".rstrip()
                return f", {self.style.name(row.metric)} {own}"
        return ""

    def changed(self) -> Line | None:
        compared = self.model.comparison
        if compared.best is None or compared.baseline is None:
            return None
        parts = [self._data(), self._code(), self._prompts(), self._parameters()]
        if self.model.environment:
            parts.append(count(len(self.model.environment), "package"))
        known = compared.datasets or self.model.logs_data or any(one.counts for one in self.model.evaluations)
        unknown = [] if known else ["which data the runs used"]
        unknown += [] if self._same_files else ["whether the evaluation code changed"]
        more = f" Not known: {'; '.join(unknown)}." if unknown else ""
        return Line("Changed", f"{', '.join(part for part in parts if part)}.{more}")

    def _prompts(self) -> str:
        """Name the prompt that has changed, or count those that have; "" if neither side has loaded any."""
        changed = [one for one in self.model.prompts if not one.is_same]
        if not changed:
            return "no prompt" if self.model.prompts else ""
        if len(changed) > 1:
            return count(len(changed), "prompt")
        (one,) = changed
        return f"prompt {self.style.text(one.name)} ({one.versions.removeprefix('version ')})"

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
        if files is None:
            return "files"
        return f"{count(files, 'file')}{' in the merge request' if len(self.report.models) > 1 else ''}"

    def _data(self) -> str:
        if self.model.comparison.datasets:
            return "the data (which may be why the numbers differ)"
        return "no data" if self.model.logs_data else ""

    def not_counted(self) -> Line | None:
        """Say what doesn't count, and why."""
        runs = self.model.runs
        found = [
            f"{count(number_of, 'run')} {word if number_of > 1 else word.replace('their', 'its')}"
            for state, word in _NOT_COUNTED.items()
            if (number_of := sum(run.state is state for run in runs))
        ]
        amended = [run for run in runs if run.amended]
        if amended:
            more = f" and {len(amended) - 1} more" if len(amended) > 1 else ""
            found.append(f"what others wrote to {self.style.run(amended[0])}{more} after the job had ended")
        return Line("Not counted", f"{'; '.join(found)}.") if found and not self.report.waiting else None
