"""What a contract says, as values. Everything has its default here."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

FILE_NAME = ".mltrail.yml"


class Way(StrEnum):
    """Which way a metric is better."""

    HIGHER = "higher"
    LOWER = "lower"


class Outcome(StrEnum):
    PASS = "pass"  # noqa: S105 - a verdict, no password
    WARN = "warn"
    FAIL = "fail"


class Then(StrEnum):
    """What a broken rule leads to."""

    WARN = "warn"
    FAIL = "fail"


class Value(StrEnum):
    """Which value of a metric's history a rule looks at."""

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
    """Which runs of a pipeline are this model's: a glob over their experiment, and globs over their tags."""

    experiment: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How much worse is still all right: in the metric's own unit, or in per cent of the baseline."""

    amount: float
    percent: bool = False


@dataclass(frozen=True, slots=True)
class Rule:
    """What is expected of a metric, or of all metrics that a glob names. At least one of the three bounds is set."""

    metric: str
    better: Way | None = None
    worse_by: Tolerance | None = None
    at_least: float | None = None
    at_most: float | None = None
    value: Value = Value.LAST
    then: Then = Then.FAIL
    target: str | None = None  # a glob over target branches; None is all of them
    line: int = 0


@dataclass(frozen=True, slots=True)
class Promote:
    """Which pipelines promote (`default`, `tags`, or globs over branches), and to what."""

    origins: tuple[str, ...] = ("default", "tags")
    reuse_reviewed: bool = False
    alias: str = "champion"
    bump: Bump = Bump.AUTO
    allow_worse: tuple[str, ...] = ()  # globs of metrics in which a version may be worse than what it replaces
    sources: Mapping[str, str] = field(default_factory=dict)  # digests of places that the server does not read, by URI


@dataclass(frozen=True, slots=True)
class Keep:
    """How long files of runs that lost are kept, in milliseconds; None is for ever."""

    losers_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Model:
    """One model. What the file's `defaults` say is already in here."""

    name: str
    runs: Runs = Runs()
    paths: tuple[str, ...] = ()
    baseline: Baseline = Baseline()
    same_dataset: str | None = None
    rank_by: str | None = None
    rank_better: Way | None = None  # which way `rank_by` is better, where no rule says it
    rules: tuple[Rule, ...] = ()
    promote: Promote | None = None
    keep: Keep = Keep()
    repeat_over: frozenset[str] = frozenset({"seed", "random_state"})
    pair_by: tuple[str, ...] = ("fold",)
    if_unknown: Outcome = Outcome.WARN
    if_silent: Outcome = Outcome.WARN
    if_silent_told: bool = False  # whether the file says it, or it is what holds by default
    retired: bool = False  # it is not trained any more


@dataclass(frozen=True, slots=True)
class GateSettings:
    """Where else than in the note the gate shows: in a thread that blocks the merge, in a commit status, and in an
    issue when training on the default branch gets worse.
    """

    thread: bool = False
    status: bool = False
    issue: bool = False


@dataclass(frozen=True, slots=True)
class Contract:
    models: Mapping[str, Model]
    gate: GateSettings = GateSettings()
