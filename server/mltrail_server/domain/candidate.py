"""A candidate is one training run: GitLab's word for what MLflow calls a run."""

from enum import IntEnum
from typing import NamedTuple


class Status(IntEnum):
    """The numbers are MLflow's `RunStatus`."""

    RUNNING = 1
    SCHEDULED = 2
    FINISHED = 3
    FAILED = 4
    KILLED = 5

    @property
    def ended(self) -> bool:
        return self >= Status.FINISHED


class Stage(IntEnum):
    ACTIVE = 0
    DELETED = 1


class ViewType(IntEnum):
    """MLflow's `ViewType`: which lifecycle stages a search covers."""

    ACTIVE_ONLY = 1
    DELETED_ONLY = 2
    ALL = 3

    @property
    def stages(self) -> tuple[Stage, ...]:
        if self is ViewType.ACTIVE_ONLY:
            return (Stage.ACTIVE,)
        if self is ViewType.DELETED_ONLY:
            return (Stage.DELETED,)
        return (Stage.ACTIVE, Stage.DELETED)


class Point(NamedTuple):
    """One value of a metric. `timestamp_ms` is milliseconds since the epoch; `value` may be NaN, never infinite.

    A tuple, since a batch creates a thousand of them.
    """

    key: str
    value: float
    timestamp_ms: int
    step: int
