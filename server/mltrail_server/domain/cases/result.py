"""What became of one table of cases: what broke and what was fixed, or why that is not known."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mltrail_contract import CaseTable, Measure
from mltrail_server.domain.direction import Better
from mltrail_server.domain.hypotheses import Decision
from mltrail_server.domain.verdict import Verdict

from . import words
from .compare import compare, compare_runs
from .comparison import CaseComparison, CaseMetric, Counts
from .pairing import NotComparable, Paired, PairedCase, pair
from .plain import plain
from .table import Answer, Case
from .wear import Wear

MOST_LISTED = 10
"""How many ids of broken cases, and of fixed ones, are kept."""

_MOST_CLASSES = 100
_POSITIVE = "a positive label; the contract's key `positive` says which one it is"
_CHANCES = "a score from 0 to 1 for each case"
_NUMBERS = "labels and predictions that are numbers, and not too large"
_NEEDS: dict[CaseMetric, str] = {
    CaseMetric.ACCURACY: "labels and predictions",
    CaseMetric.MEAN_SCORE: "scores",
    CaseMetric.AUC: "cases with the positive label and cases with another one",
    CaseMetric.F1: _POSITIVE,
    CaseMetric.PRECISION: _POSITIVE,
    CaseMetric.RECALL: _POSITIVE,
    CaseMetric.MACRO_F1: "labels and predictions",
    CaseMetric.LOG_LOSS: _CHANCES,
    CaseMetric.BRIER: _CHANCES,
    CaseMetric.MEAN_ABSOLUTE_ERROR: _NUMBERS,
    CaseMetric.ROOT_MEAN_SQUARED_ERROR: _NUMBERS,
}
"""What a metric is computed from, for a table that it can't be computed from."""

_LONGEST_ID = 200  # characters that are kept; the note shows fewer


@dataclass(frozen=True, slots=True)
class CaseResult:
    """One table of the contract, or one `scorer` of an `evaluation`, compared between the named run here and that of
    the baseline.

    `compared` is None if that was not possible. `problem` then says why, in words that contain nothing a user wrote;
    `ours` is set when this side is the cause. `broke` and `fixed` are the first ids of such cases, as a user wrote
    them. `added` cases are answered here only. `runs` are how many runs on each side answered the cases: here, in the
    baseline. `test_set` is a digest of the compared cases' ids and labels; `wear` says how worn it is, where it was
    asked. `verdict` to `allowed`, the loss that its rule tolerates, are set when the merge request is judged.
    """

    table: CaseTable
    compared: CaseComparison | None = None
    problem: str = ""
    ours: bool = False
    broke: tuple[str, ...] = ()
    fixed: tuple[str, ...] = ()
    added: int = 0
    runs: tuple[int, int] = (1, 1)
    test_set: str = ""
    wear: Wear | None = None
    verdict: Verdict = Verdict.CANT_TELL
    reason: str = ""
    advice: str = ""
    decision: Decision | None = None
    allowed: float = 0.0
    evaluation: str = ""
    scorer: str = ""

    @property
    def name(self) -> str:
        return self.table.name

    @property
    def lower_is_better(self) -> bool:
        return words.lower_is_better(self.table)

    @property
    def better(self) -> Better:
        return Better.LOWER if self.lower_is_better else Better.HIGHER

    @property
    def counts(self) -> Counts | None:
        """How many cases broke and were fixed, where cases are right or wrong."""
        return self.compared.counts if self.compared is not None and self.table.right_or_wrong else None


def found(table: CaseTable, before: Sequence[Sequence[Case]], now: Sequence[Sequence[Case]]) -> CaseResult:
    """Compare two sides. Each holds its runs' tables; that of the named run is the first."""
    pairs = pair(before[0], now[0])
    problem = _not_comparable(pairs)
    if problem:
        return CaseResult(table, problem=problem, ours=True)
    problem = _too_many_classes(table, pairs)
    if problem:
        theirs = _too_many_classes(table, pair(before[0], before[0]))
        return CaseResult(table, problem=problem, ours=not theirs)
    metric, positive = CaseMetric(table.measure), _positive(table)
    if len(before) == len(now) == 1:
        compared = compare(pairs, metric, positive=positive)  # half the work
    else:
        compared = compare_runs(before, now, metric, positive=positive, pairs=pairs)
    if compared is None:
        return CaseResult(
            table, problem=f"{words.name(metric)} needs {_NEEDS[metric]}", ours=_computable(table, before)
        )
    broke, fixed = _changed(pairs.cases) if table.right_or_wrong else ([], [])
    return CaseResult(
        table,
        compared,
        broke=tuple(broke),
        fixed=tuple(fixed),
        added=pairs.missing_before,
        runs=(len(now), len(before)),
        test_set=_digest(pairs.cases),
    )


def _not_comparable(pairs: Paired) -> str:
    """Say what keeps two tables from being compared. The baseline's cases have to be here, or a broken case could be
    left out.
    """
    if pairs.not_comparable is NotComparable.NO_COMMON_CASES:
        return "none of the baseline's cases is here"
    if pairs.relabelled:
        return f"{_cases(pairs.relabelled)} other labels than in the baseline"
    if pairs.missing_now:
        are = "is" if pairs.missing_now == 1 else "are"
        cases = len(pairs.cases) + pairs.missing_now
        return f"{pairs.missing_now:,} of the baseline's {cases:,} cases {are} missing here"
    return ""


def _cases(count: int) -> str:
    return "1 case has" if count == 1 else f"{count:,} cases have"


def _too_many_classes(table: CaseTable, pairs: Paired) -> str:
    if table.measure is not Measure.MACRO_F1:
        return ""
    answers = (answer for case in pairs.cases for answer in (*case.before, *case.now))
    classes = {case.label for case in pairs.cases} | {answer.prediction for answer in answers}
    return (
        f"macro F1 of more than {_MOST_CLASSES} classes is not computed; choose another measure"
        if len(classes) > _MOST_CLASSES
        else ""
    )


def _computable(table: CaseTable, before: Sequence[Sequence[Case]]) -> bool:
    """Whether the measure can be computed from the baseline's table alone."""
    return compare(pair(before[0], before[0]), CaseMetric(table.measure), positive=_positive(table)) is not None


def _positive(table: CaseTable) -> str | None:
    """Return the label of the positive class. For scores all other labels have been made one."""
    if table.score is not None:
        return "1"
    return None if table.positive is None else plain(table.positive)


def _changed(cases: Iterable[PairedCase]) -> tuple[list[str], list[str]]:
    """List the first cases whose share of right answers fell, and of those whose share rose."""
    broke: list[str] = []
    fixed: list[str] = []
    for case in cases:
        change = _right(case.now, case.label) - _right(case.before, case.label)
        listed = broke if change < 0 else fixed
        if change and len(listed) < MOST_LISTED:
            listed.append(case.id[:_LONGEST_ID])
    return broke, fixed


def _right(answers: Sequence[Answer], label: str | None) -> float:
    return sum(answer.prediction == label for answer in answers) / len(answers)


def _digest(cases: Iterable[PairedCase]) -> str:
    """Return the same text for the same cases with the same labels, in whatever order."""
    digest = hashlib.sha256()
    for case in sorted((one.id, one.label or "") for one in cases):
        for part in case:
            digest.update(len(part).to_bytes(4, "big") + part.encode("utf-8", "surrogatepass"))
    return digest.hexdigest()
