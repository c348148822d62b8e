"""Is a merge request's report job still what it was? The merge request can edit its YAML, so its exit code is not
binding; but a reviewer is shown when the job was removed or changed.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from . import gitlab_ci

_SILENT = frozenset({"success", "failed", "manual"})


@dataclass(frozen=True, slots=True)
class ReportJob:
    """A job with a name from which reports are requested; `status` is the status of its newest attempt in GitLab."""

    id: int
    name: str
    status: str | None
    allow_failure: bool = False

    @property
    def open(self) -> bool:
        """Whether it is running, or will be."""
        return self.status not in gitlab_ci.ENDED and self.status not in {None, "manual"}


class DoubtKind(StrEnum):
    MISSING = "missing"
    SILENT = "silent"
    OTHER = "other"
    PASSED = "passed"
    ALLOWED = "allowed"


_SENTENCES = {
    DoubtKind.MISSING: (
        "This pipeline has no job {expected}, which reported before: nothing in it fails when the gate does."
    ),
    DoubtKind.SILENT: (
        "The job {name} did not request this report as it did before: it does not fail when the gate does."
    ),
    DoubtKind.OTHER: "This report was requested by the job {name}, not by {expected} as before.",
    DoubtKind.PASSED: "The job {name} passed although the gate failed.",
    DoubtKind.ALLOWED: "The job {name} may fail without failing the pipeline.",
}


@dataclass(frozen=True, slots=True)
class Doubt:
    """Something about the report job that a reviewer should know. `name` and `expected` were chosen by users."""

    kind: DoubtKind
    name: str
    expected: str

    def sentence(self, quote: Callable[[str], str]) -> str:
        """Say it in a sentence; `quote` makes the names safe."""
        return _SENTENCES[self.kind].format(name=quote(self.name), expected=quote(self.expected))


def doubts(
    asked: ReportJob | None, found: Sequence[ReportJob], expected: Sequence[str], *, broken: bool
) -> tuple[Doubt, ...]:
    """Compare the job that requested a report, and the pipeline's jobs with an expected name, with what was there
    before. `expected` names the jobs that requested reports before, on the target branch or in this merge request.
    `broken` is set when the gate fails and nobody has overridden it.
    """
    usual = expected[0] if expected else ""
    if asked is None:
        return _unasked(found, usual) if expected else ()
    found_doubts = []
    if expected and asked.name not in expected:
        found_doubts.append(Doubt(DoubtKind.OTHER, asked.name, usual))
    if broken and asked.status == gitlab_ci.SUCCEEDED:
        found_doubts.append(Doubt(DoubtKind.PASSED, asked.name, usual))
    elif broken and asked.allow_failure and asked.status == "failed":
        found_doubts.append(Doubt(DoubtKind.ALLOWED, asked.name, usual))
    return tuple(found_doubts)


def _unasked(found: Sequence[ReportJob], usual: str) -> tuple[Doubt, ...]:
    if not found:
        return (Doubt(DoubtKind.MISSING, usual, usual),)
    return (Doubt(DoubtKind.SILENT, found[-1].name, usual),) if found[-1].status in _SILENT else ()
