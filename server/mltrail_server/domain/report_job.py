"""Is a merge request's report job what it was? The merge request may edit its YAML, so its exit code binds nobody; that
it went or was changed is shown.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from . import gitlab_ci

_SILENT = frozenset({"success", "failed", "manual"})


@dataclass(frozen=True, slots=True)
class ReportJob:
    """A job by whose name reports are asked for; `status` is GitLab's word for its newest attempt."""

    id: int
    name: str
    status: str | None
    allow_failure: bool = False

    @property
    def open(self) -> bool:
        """Tell whether it still runs, or is about to."""
        return self.status not in gitlab_ci.ENDED and self.status not in {None, "manual"}


class DoubtKind(StrEnum):
    MISSING = "missing"
    SILENT = "silent"
    OTHER = "other"
    PASSED = "passed"
    ALLOWED = "allowed"


_SENTENCES = {
    DoubtKind.MISSING: "This pipeline has no job {expected}, which reported before: nothing in it fails with the gate.",
    DoubtKind.SILENT: "The job {name} did not ask for this report as it did before: it does not fail with the gate.",
    DoubtKind.OTHER: "This report was asked for by the job {name}, not by {expected} as before.",
    DoubtKind.PASSED: "The job {name} passed although the gate failed.",
    DoubtKind.ALLOWED: "The job {name} may fail without the pipeline.",
}


@dataclass(frozen=True, slots=True)
class Doubt:
    """Something about the report job that a reviewer should know. Both are names that users chose."""

    kind: DoubtKind
    name: str
    expected: str

    def sentence(self, quote: Callable[[str], str]) -> str:
        """Say it, with names as `quote` writes them."""
        return _SENTENCES[self.kind].format(name=quote(self.name), expected=quote(self.expected))


def doubts(
    asked: ReportJob | None, found: Sequence[ReportJob], expected: Sequence[str], *, broken: bool
) -> tuple[Doubt, ...]:
    """Compare the job that asked for a report, and those in the pipeline that are called as `expected`, with those
    names: of the jobs that asked before, in what was merged or in this merge request. `broken` tells that the gate
    fails, and nobody has let it pass.
    """
    usual = expected[0] if expected else ""
    if asked is None:
        return _unasked(found, usual) if expected else ()
    told = []
    if expected and asked.name not in expected:
        told.append(Doubt(DoubtKind.OTHER, asked.name, usual))
    if broken and asked.status == gitlab_ci.SUCCEEDED:
        told.append(Doubt(DoubtKind.PASSED, asked.name, usual))
    elif broken and asked.allow_failure and asked.status == "failed":
        told.append(Doubt(DoubtKind.ALLOWED, asked.name, usual))
    return tuple(told)


def _unasked(found: Sequence[ReportJob], usual: str) -> tuple[Doubt, ...]:
    if not found:
        return (Doubt(DoubtKind.MISSING, usual, usual),)
    return (Doubt(DoubtKind.SILENT, found[-1].name, usual),) if found[-1].status in _SILENT else ()
