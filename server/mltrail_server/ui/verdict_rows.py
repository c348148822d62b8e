"""The rows of a verdict on a page: each metric and each rule with what was found and its plot; the gate's rules."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from mltrail_contract import Outcome
from mltrail_server.domain.grouping import Run
from mltrail_server.domain.markdown import Markdown, code, name
from mltrail_server.domain.numbers import number
from mltrail_server.domain.preview import Preview
from mltrail_server.domain.verdict import Verdict
from mltrail_server.services.review import note, rows
from mltrail_server.services.review.judged import ModelReport
from mltrail_server.services.review.reports import Report
from mltrail_server.services.review.rows import Row

from .interval_plot import Plotted, plotted
from .marked import marked

_SEEN = 8
_MOST_TELLING = 50
_MOST_RULES = 200
_KEPT_SEEN = 4
_ROWS_OF_ALL = 600
"""So many rows of all models together are on a page, at least as many of each as a note would have."""
_FEWEST_ROWS = 20
_KINDS = {Verdict.BETTER: "success", Verdict.WORSE: "danger", Verdict.CANT_TELL: "warning"}
_OUTCOMES = {Outcome.PASS: "passes", Outcome.WARN: "warns", Outcome.FAIL: "fails"}


@dataclass(frozen=True, slots=True)
class VerdictRow:
    """`of` is the evaluation that a scorer belongs to. `rule` is what the rule expects, and `outcome` what it says."""

    verdict: Verdict
    kind: str
    title: Markup
    of: Markup
    better: str
    start: str
    end: str
    unit: str
    means: Markup
    rule: Markup
    outcome: str
    model: str
    is_counted: bool
    plot: Plotted | None
    remark: str
    is_telling: bool

    @property
    def found(self) -> Markup:
        """What is held against the rule: the values, or what became of the cases."""
        if self.is_counted:
            return self.means
        shown = Markup('<span class="keep">{} → <strong>{}</strong> {}</span>')
        return shown.format(self.start, self.end, self.unit)


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules of all models, as the gate lists them: those to look at, and the others, which are folded."""

    shown: list[VerdictRow]
    folded: list[VerdictRow]
    left: int
    same_datasets: list[Markup]

    @property
    def many(self) -> bool:
        return len({one.model for one in (*self.shown, *self.folded)}) > 1


@dataclass(frozen=True, slots=True)
class Best:
    """The run that stands for a model, with its own value of the metric that ranks."""

    run: Run
    metric: str | None
    value: str
    preview: Preview | None


def of_model(model: ModelReport, *, models: int) -> tuple[list[VerdictRow], list[VerdictRow], int]:
    """Lay out the rows of a model as a note does: those that are always seen, those that are folded, and how many more
    there are. What is said of an evaluation's latency, tokens and cost is elsewhere.
    """
    found = rows.of(model) if model.comparison.best or model.rulings else []
    if model.evaluations:
        found = [one for one in found if not one.is_aside]
    telling = sum(one.icon in ("❌", "⚠️") for one in found)
    most = max(_FEWEST_ROWS, _ROWS_OF_ALL // models, min(telling, _MOST_TELLING))
    laid_out = [_row(one, model) for one in found[:most]]
    seen = max(_SEEN, min(telling, _MOST_TELLING))
    return laid_out[:seen], laid_out[seen:], len(found) - len(laid_out)


def rules(models: Sequence[ModelReport]) -> Rules:
    """List the rules of all models, the broken ones first."""
    pairs = [(one, model) for model in models for one in rows.of(model) if one.rule is not None]
    pairs.sort(key=lambda pair: list(_OUTCOMES)[::-1].index(pair[0].outcome or Outcome.PASS))
    laid_out = [_row(one, model, plot=False) for one, model in pairs[:_MOST_RULES]]
    broken = sum(one.outcome in (Outcome.FAIL, Outcome.WARN) for one, _ in pairs)
    seen = max(broken, _KEPT_SEEN) if len(pairs) > _KEPT_SEEN + 1 else len(pairs)
    return Rules(
        laid_out[:seen],
        laid_out[seen:],
        len(pairs) - len(laid_out),
        [marked(said) for said in dict.fromkeys(map(note.same_dataset, models)) if said is not None],
    )


def best(report: Report, model: ModelReport) -> Best | None:
    run, metric = model.comparison.best_run, model.comparison.rank_by
    if run is None:
        return None
    value = run.metrics.get(metric) if metric is not None else None
    return Best(run, metric, "" if value is None else number(value), report.previews.get(model.name))


def _row(row: Row, model: ModelReport, *, plot: bool = True) -> VerdictRow:
    title, of = (row.metric, "") if row.scorer is None else (row.scorer.name, code(row.evaluation))
    start, end = rows.texts(row)
    drawn = plotted(row) if plot else None
    return VerdictRow(
        row.verdict,
        "neutral" if row.is_new else _KINDS.get(row.verdict, "neutral"),
        marked(name(title)),
        marked(Markdown(of)),
        row.better,
        start,
        end,
        rows.unit(row),
        marked(Markdown(row.says(code))),
        marked(note.expects(row)),
        "" if row.outcome is None else _OUTCOMES[row.outcome],
        model.name,
        row.is_about_cases and not row.is_tested,
        drawn,
        _remark(row, drawn),
        row.icon in ("❌", "⚠️"),
    )


def _remark(row: Row, plot: Plotted | None) -> str:
    """Say why there is no bar, or nothing at all; "" if there is one."""
    if row.is_new:
        return "no baseline yet"
    if row.is_about_cases and not row.is_tested and row.rule is not None:
        return "cases are counted"
    if plot is not None and plot.interval is not None:
        return "this table alone" if plot.interval.alone else ""
    if plot is None:
        return "can't be compared"
    return "measured, not tested" if row.is_bar else "chance unknown"
