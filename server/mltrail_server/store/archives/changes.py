"""How rows change when they move to another server, GitLab or project.

`Trust` names the three cases. Each table and column that is about GitLab, or that this server would trust, is listed
below; a test walks the schema and fails for any that is missing.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

import sqlalchemy as sa

from mltrail_server.domain import former, gitlab_ci
from mltrail_server.domain.candidate import Status
from mltrail_server.domain.ids import ProjectId
from mltrail_server.store.db.statements import Tuple

from .rows import columns


class Trust(Enum):
    """How far an archive from another server is trusted."""

    SAME = "same"  # signed by our own key, for the same project of the same GitLab: everything stays as it was
    MOVED = "moved"  # signed by our own key, but the project's ID or GitLab differs
    FOREIGN = "foreign"  # not signed by our key: the history is kept, the evidence is not trusted


GITLAB_NUMBERS: Mapping[str, tuple[str, ...]] = {
    "alias_event": ("pipeline_id",),
    "amendment": ("job_id",),
    "assessment": ("job_id",),
    "candidate_job": ("job_id", "pipeline_id"),
    "candidate_trace": ("job_id",),
    "case_use": ("merge_request_iid",),
    "gate_override": ("merge_request_iid", "pipeline_id"),
    "job": ("id", "pipeline_id"),
    "merge_request": ("iid", "note_pipeline_id"),
    "pipeline": ("id", "root_id", "report_job_id", "merge_request_iid"),
    "promotion": ("pipeline_id", "trained_in", "merge_request_iid", "job_id"),
    "red_verdict": ("merge_request_iid", "pipeline_id", "passed_pipeline_id"),
    "request_verdict": ("merge_request_iid", "pipeline_id"),
    "tombstone": ("pipeline_id",),
    "trace": ("job_id", "pipeline_id"),
}
"""Numbers of pipelines, jobs and merge requests. After a move they are those of a former GitLab."""

LEFT_BEHIND: Mapping[str, str] = {
    "commit_status": "a status at the former GitLab",
    "due": "what the worker was about to look up; the former GitLab is not asked again",
    "gate_refusal": "what the former GitLab refused to publish",
    "gate_thread": "a thread at the former GitLab",
    "regression_issue": "an issue at the former GitLab",
    "webhook": "when the former GitLab last sent a webhook",
}
"""Tables whose rows only make sense at one GitLab. They don't move to another."""

NOT_BELIEVED: Mapping[str, str] = {
    "candidate_job": "stamps: that a run was logged with a job's token. The run keeps its tags, except gitlab.verified",
    "case_use": "which merge requests a test set was used to judge",
    "gate_override": "who overrode the gate",
    "imported": "what the other server had already imported",
    "job": "what GitLab reported about jobs",
    "merge_request": "what GitLab reported about merge requests",
    "origin": "where the other server imported from",
    "pipeline": "what GitLab reported about pipelines, and their contracts",
    "promotion": "what was promoted, and its provenance. Versions, aliases and alias moves are kept",
    "red_verdict": "which merge requests failed",
    "request_verdict": "what was said of merge requests",
    "tombstone": "which evidence was removed",
}
"""Tables that only the server that wrote them can vouch for. Foreign rows are left out."""

_NOTHING_POSTED = {
    "note_id": None,
    "note_pipeline_id": None,
    "note_sha256": None,
    "note_problem": None,
    "note_failures": 0,
    "note_next_ms": None,
    "note_written_ms": None,
    "note_lease": None,
    "note_lease_until_ms": None,
}
_MOVED_VALUES: Mapping[str, Mapping[str, Any]] = {
    "project": {"default_branch": None},
    "merge_request": {"source_project_id": None, **_NOTHING_POSTED},
}
_FOREIGN_VALUES: Mapping[str, Mapping[str, Any]] = {
    "project": {"default_branch": None},
    "candidate": {"protected": None, "discarded": False, "detached_until_ms": None, "promoted": False},
    "candidate_trace": {"own": False},
    "model_version": {"promoted": False},
    "trace": {"protected": False},
}

Change = Callable[[Tuple], Tuple]


@dataclass(frozen=True, slots=True)
class Moving:
    """Where rows go. `origin_id` marks foreign rows, `at_ms` is when they were read at the source."""

    trust: Trust
    to: ProjectId
    path: str
    origin_id: int
    at_ms: int

    def takes(self, table: sa.Table) -> bool:
        """Return whether rows of the table come along at all."""
        if self.trust is Trust.SAME:
            return True
        return table.name not in LEFT_BEHIND and not (self.trust is Trust.FOREIGN and table.name in NOT_BELIEVED)

    def of(self, table: sa.Table) -> Change:
        """Return what makes a row of the table the row that it becomes."""
        places = {column.name: place for place, column in enumerate(columns(table))}
        values = {places[name]: value for name, value in self._values(table).items()}
        shifts = [places[name] for name in self._shifted(table)]
        more = None if self.trust is Trust.SAME else _MOVED_MORE.get(table.name)
        if more is None and not shifts and list(values) == [0]:
            return lambda row: (self.to, *row[1:])  # most rows of most tables have no more than that

        def change(row: Tuple) -> Tuple:
            made = list(row)
            if more is not None:
                more(made, places, self.at_ms)
            for place, value in values.items():
                made[place] = value
            for place in shifts:
                if made[place] is not None:
                    made[place] = former.shifted(made[place])
            return tuple(made)

        return change

    def _values(self, table: sa.Table) -> dict[str, Any]:
        found: dict[str, Any] = {"project_id": self.to}
        if table.name == "project":
            found["path"] = self.path
        if self.trust is Trust.MOVED:
            found |= _MOVED_VALUES.get(table.name, {})
        if self.trust is Trust.FOREIGN:
            found |= _FOREIGN_VALUES.get(table.name, {})
            if "origin_id" in table.c:
                found["origin_id"] = self.origin_id
        return found

    def _shifted(self, table: sa.Table) -> tuple[str, ...]:
        return () if self.trust is Trust.SAME else GITLAB_NUMBERS.get(table.name, ())


def _ended(made: list[Any], places: Mapping[str, int], _at_ms: int) -> None:
    """Note that GitLab no longer has a pipeline or job that had not ended: nobody will ask about it again."""
    if made[places["status"]] not in gitlab_ci.ENDED:
        made[places["status"]] = gitlab_ci.DELETED


def _killed(made: list[Any], places: Mapping[str, int], at_ms: int) -> None:
    """End a run that was still running: its job can't go on logging here."""
    if not Status(made[places["status"]]).ended:
        made[places["status"]] = Status.KILLED.value
        made[places["status_reason"]] = "the project was moved while it was running"
        made[places["ended_ms"]] = made[places["ended_ms"]] or at_ms
    made[places["detached_until_ms"]] = None


def _closed(made: list[Any], places: Mapping[str, int], _at_ms: int) -> None:
    if made[places["state"]] in ("opened", "locked"):
        made[places["state"]] = "closed"


_MOVED_MORE: Mapping[str, Callable[[list[Any], Mapping[str, int], int], None]] = {
    "candidate": _killed,
    "job": _ended,
    "merge_request": _closed,
    "pipeline": _ended,
}
