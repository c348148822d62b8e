"""What a contract says, as values. All defaults are here."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

FILE_NAME = ".mltrail.yml"


class HigherOrLower(StrEnum):
    """Which values of a metric are better."""

    HIGHER = "higher"
    LOWER = "lower"


class Outcome(StrEnum):
    PASS = "pass"  # noqa: S105 - an outcome, not a password
    WARN = "warn"
    FAIL = "fail"


class Then(StrEnum):
    """What a broken rule leads to."""

    WARN = "warn"
    FAIL = "fail"


class Value(StrEnum):
    """Which value of a metric's history a rule applies to."""

    LAST = "last"
    BEST = "best"


class Bump(StrEnum):
    AUTO = "auto"
    MAJOR = "major"
    MINOR = "minor"
    PATCH = "patch"


class BaselineKind(StrEnum):
    TARGET = "target"  # the target branch's newest pipeline at or before the merge base
    ALIAS = "alias"  # the version that an alias points at, such as champion
    VERSION = "version"


@dataclass(frozen=True, slots=True)
class Baseline:
    """What a model is compared with. `name` is the alias or the semantic version."""

    kind: BaselineKind = BaselineKind.TARGET
    name: str = ""


@dataclass(frozen=True, slots=True)
class Runs:
    """Which runs of a pipeline are this model's: a glob for their experiment, and globs for their tags."""

    experiment: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How much worse is still acceptable: in the metric's own unit, or in per cent of the baseline."""

    amount: float
    percent: bool = False


class Measure(StrEnum):
    """What is computed from a table of cases. The names are scikit-learn's."""

    ACCURACY = "accuracy"
    F1 = "f1"
    PRECISION = "precision"
    RECALL = "recall"
    MACRO_F1 = "macro_f1"
    MEAN_ABSOLUTE_ERROR = "mean_absolute_error"
    ROOT_MEAN_SQUARED_ERROR = "root_mean_squared_error"
    AUC = "auc"
    LOG_LOSS = "log_loss"
    BRIER = "brier"
    MEAN_SCORE = "mean_score"


OF_CLASSES = frozenset({Measure.ACCURACY, Measure.F1, Measure.PRECISION, Measure.RECALL, Measure.MACRO_F1})
"""Measures of right and wrong answers."""

OF_CHANCES = frozenset({Measure.AUC, Measure.LOG_LOSS, Measure.BRIER})
"""Measures of a score that says how likely the positive label is."""

OF_NUMBERS = frozenset({Measure.MEAN_ABSOLUTE_ERROR, Measure.ROOT_MEAN_SQUARED_ERROR})
"""Measures of predicted numbers."""


@dataclass(frozen=True, slots=True)
class CaseTable:
    """A file among a run's artifacts with a row for each case of a test set; the texts are the names of its columns.

    Either `prediction` and `label` are set, which are equal where the model is right, or `score`. With a `label` a
    score says how likely `positive` is (None: 1 or true); without one it says how good an answer is, and `better`
    whether high or low is good. `cluster` names what several cases share, such as a patient.
    """

    name: str
    table: str
    id: str
    label: str | None = None
    prediction: str | None = None
    score: str | None = None
    threshold: float | None = None
    better: HigherOrLower = HigherOrLower.HIGHER
    positive: str | None = None
    cluster: str | None = None
    given_measure: Measure | None = None
    line: int = 0

    @property
    def right_or_wrong(self) -> bool:
        """Whether each case is right or wrong. A score without a threshold and a predicted number are neither."""
        return (self.prediction is not None or self.threshold is not None) and self.given_measure not in OF_NUMBERS

    @property
    def measure(self) -> Measure:
        """What is computed: the measure that the file names, or else what the columns are made for."""
        if self.given_measure is not None:
            return self.given_measure
        if self.right_or_wrong:
            return Measure.ACCURACY
        return Measure.MEAN_SCORE if self.label is None else Measure.AUC


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Runs of `mlflow.genai.evaluate` or `@mlflow.test`: a table of cases for each scorer, made from traces' feedback.

    `evaluation` is a glob for the name of the dataset that was evaluated, and `scorers` are globs for the scorers that
    count. A scorer that gives numbers passes a case with at least `pass_at`, or at most where lower is better. `better`
    says it where a scorer's name does not.
    """

    name: str
    evaluation: str
    scorers: tuple[str, ...] = ("*",)
    pass_at: Mapping[str, float] = field(default_factory=dict)
    better: Mapping[str, HigherOrLower] = field(default_factory=dict)
    line: int = 0


class QualityCriteria(StrEnum):
    """What becomes of bars that a run declares itself (`mlflow.genaiEvaluate.qualityCriteria`)."""

    IGNORE = "ignore"  # they are shown, and gate nothing
    ACCEPT = "accept"


@dataclass(frozen=True, slots=True)
class Rule:
    """What is expected of a metric, or of all metrics that match a glob: at least one of the three bounds is set.

    A rule about cases has no metric: `cases` names a table or an evaluation of the model. With `scorer`, a glob, only
    these scorers of an evaluation count. At least one of `broke_at_most`, `worse_by` (in the table's measure, or each
    scorer's), `pass_rate_at_least` and `must_pass` (globs for cases) is set; the last two are about evaluations.
    """

    metric: str
    better: HigherOrLower | None = None
    worse_by: Tolerance | None = None
    at_least: float | None = None
    at_most: float | None = None
    value: Value = Value.LAST
    then: Then = Then.FAIL
    target: str | None = None  # a glob for target branches; None means all of them
    line: int = 0
    cases: str | None = None
    broke_at_most: int | None = None
    scorer: str | None = None
    pass_rate_at_least: float | None = None
    must_pass: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Promote:
    """Which pipelines can promote (`default`, `tags`, or globs for branches), and to what. Only runs that have
    `needs_evaluation`, by its name in the model's `cases`, are promoted.
    """

    origins: tuple[str, ...] = ("default", "tags")
    reuse_reviewed: bool = False
    alias: str = "champion"
    bump: Bump = Bump.AUTO
    allow_worse: tuple[str, ...] = ()  # globs for metrics in which a version may be worse than the one it replaces
    sources: Mapping[str, str] = field(default_factory=dict)  # digests of files that the server does not read, by URI
    needs_evaluation: str | None = None


@dataclass(frozen=True, slots=True)
class Keep:
    """How long files of runs that lost are kept, in milliseconds; None means for ever."""

    losers_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Imported:
    """What runs and versions that were imported from elsewhere count for, although no job here vouches for them.

    `baseline`: imported runs are what the model is compared with, where this project has none of its own. `champion`:
    an imported version holds promotions to its level (True), or to nothing (False); None means that nobody has
    decided, so that it is not replaced.
    """

    baseline: bool = False
    champion: bool | None = None


@dataclass(frozen=True, slots=True)
class Model:
    """One model. The file's `defaults` have already been applied. `rules` are about metrics, `case_rules` about its
    tables of cases and its evaluations. `prompts` maps prompts to the alias that only promotions move.
    """

    name: str
    runs: Runs = Runs()
    paths: tuple[str, ...] = ()
    baseline: Baseline = Baseline()
    same_dataset: str | None = None
    rank_by: str | None = None
    rank_better: HigherOrLower | None = None  # which values of `rank_by` are better, unless a rule says it
    rules: tuple[Rule, ...] = ()
    cases: Mapping[str, CaseTable] = field(default_factory=dict)
    evaluations: Mapping[str, Evaluation] = field(default_factory=dict)
    case_rules: tuple[Rule, ...] = ()
    quality_criteria: QualityCriteria = QualityCriteria.IGNORE
    prompts: Mapping[str, str] = field(default_factory=dict)
    promote: Promote | None = None
    keep: Keep = Keep()
    repeat_over: frozenset[str] = frozenset({"seed", "random_state"})
    pair_by: tuple[str, ...] = ("fold",)
    if_unknown: Outcome = Outcome.WARN
    if_silent: Outcome = Outcome.WARN
    if_silent_is_set: bool = False  # whether the file sets it; otherwise it is the default
    imported: Imported = Imported()
    retired: bool = False  # no longer trained


@dataclass(frozen=True, slots=True)
class GateSettings:
    """Where the gate appears in addition to the note: in a thread that blocks the merge, in a commit status, and in an
    issue if a scheduled training on the default branch gets worse.
    """

    thread: bool = False
    status: bool = False
    issue: bool = False


@dataclass(frozen=True, slots=True)
class TraceSettings:
    """What happens to traces. Whatever a pattern of `redact` (Python's `re`) matches is replaced before it is stored.
    Traces that are older than `keep_ms` milliseconds are deleted; None means that the server's own limit counts.
    """

    redact: tuple[str, ...] = ()
    keep_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Contract:
    models: Mapping[str, Model]
    gate: GateSettings = GateSettings()
    traces: TraceSettings = TraceSettings()
