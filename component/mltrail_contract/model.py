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


@dataclass(frozen=True, slots=True)
class Rule:
    """What is expected of a metric, or of all metrics that match a glob. At least one of the three bounds is set."""

    metric: str
    better: HigherOrLower | None = None
    worse_by: Tolerance | None = None
    at_least: float | None = None
    at_most: float | None = None
    value: Value = Value.LAST
    then: Then = Then.FAIL
    target: str | None = None  # a glob for target branches; None means all of them
    line: int = 0


@dataclass(frozen=True, slots=True)
class Promote:
    """Which pipelines can promote (`default`, `tags`, or globs for branches), and to what."""

    origins: tuple[str, ...] = ("default", "tags")
    reuse_reviewed: bool = False
    alias: str = "champion"
    bump: Bump = Bump.AUTO
    allow_worse: tuple[str, ...] = ()  # globs for metrics in which a version may be worse than the one it replaces
    sources: Mapping[str, str] = field(default_factory=dict)  # digests of files that the server does not read, by URI


@dataclass(frozen=True, slots=True)
class Keep:
    """How long files of runs that lost are kept, in milliseconds; None means for ever."""

    losers_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Model:
    """One model. The file's `defaults` have already been applied."""

    name: str
    runs: Runs = Runs()
    paths: tuple[str, ...] = ()
    baseline: Baseline = Baseline()
    same_dataset: str | None = None
    rank_by: str | None = None
    rank_better: HigherOrLower | None = None  # which values of `rank_by` are better, unless a rule says it
    rules: tuple[Rule, ...] = ()
    promote: Promote | None = None
    keep: Keep = Keep()
    repeat_over: frozenset[str] = frozenset({"seed", "random_state"})
    pair_by: tuple[str, ...] = ("fold",)
    if_unknown: Outcome = Outcome.WARN
    if_silent: Outcome = Outcome.WARN
    if_silent_is_set: bool = False  # whether the file sets it; otherwise it is the default
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
class Contract:
    models: Mapping[str, Model]
    gate: GateSettings = GateSettings()
