"""What all processes of this server know of jobs, in the database."""

from dataclasses import dataclass

from mltrail_server.domain import ci
from mltrail_server.domain.clock import Clock
from mltrail_server.domain.ids import ProjectId
from mltrail_server.store import due, jobs, pipeline_families
from mltrail_server.store.db import Database

from .job_states import ASK_AT_LEAST_EVERY_MS, Told


@dataclass(frozen=True, slots=True)
class JobBook:
    db: Database
    clock: Clock

    def told(self, project_id: ProjectId, job_id: int) -> Told | None:
        with self.db.read() as connection:
            found = jobs.told_of(connection, project_id, job_id)
        return None if found is None else Told(*found)

    def keep(self, project_id: ProjectId, job: ci.Job) -> None:
        """Note a job that GitLab was asked about. One that runs spares the worker a look at its pipeline, too."""
        now = self.clock()
        with self.db.write() as connection:
            if not jobs.told(connection, project_id, job, now=now) or job.status in ci.ENDED:
                return
            later = now + ASK_AT_LEAST_EVERY_MS
            pipeline_id = pipeline_families.root_of(connection, project_id, job.pipeline_id)
            due.postpone(connection, project_id, kind=due.PIPELINE, key=pipeline_id, to=later)
