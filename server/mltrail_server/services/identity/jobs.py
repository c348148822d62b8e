"""What all processes of this server know of jobs, in the database.

What a job may do in a project: the rules for ID tokens and `CI_JOB_TOKEN`, which prove the same.
"""

from dataclasses import dataclass

from mltrail_server.domain import gitlab_ci
from mltrail_server.domain.clock import Clock
from mltrail_server.domain.errors import forbidden, not_found
from mltrail_server.domain.identity import Access, Actor, TokenKind, VerifiedClaims, access_of
from mltrail_server.domain.ids import ProjectId
from mltrail_server.services.context.job_states import ASK_AT_LEAST_EVERY_MS, Told
from mltrail_server.store.ci import child_pipelines, due, jobs
from mltrail_server.store.db.database import Database
from mltrail_server.store.db.project import Project


def actor_of(kind: TokenKind, claims: VerifiedClaims, project: str) -> Actor:
    """Let a job in to `project` (number or path), which must be the one it runs in.

    Raises NOT_FOUND for every other project, FORBIDDEN when its user has no role.
    """
    # GitLab finds a path in any case of its letters.
    if project != str(claims.job_project_id) and project.lower() != claims.job_project_path.lower():
        raise not_found(
            f"Project '{project}' not found, or not for this token: the job runs in {claims.job_project_path} "
            f"({claims.job_project_id}). Check the project in MLFLOW_TRACKING_URI."
        )
    access, limit = _allowed(claims)
    return Actor(
        kind,
        claims.job_project_id,
        claims.job_project_path,
        claims.user_login,
        access,
        job=claims,
        limit=limit,
    )


def _allowed(claims: VerifiedClaims) -> tuple[Access, str]:
    """In a fork's pipeline the user's role is that in the fork, so it counts for nothing."""
    if claims.source_project_id == 0:
        return Access.READ, (
            "This job may be a fork's, and whose code it runs can't be learnt from GitLab: the operator gives "
            "mltrail's bot the Reporter role in this project, or updates GitLab to 18.4."
        )
    if claims.from_fork:
        return Access.READ, (
            "This job runs a fork's code, which may read here and not log. To have its runs here, a member who has "
            "read the code pushes it as a branch of this project; a pipeline in the fork logs to the fork."
        )
    access = access_of(claims.user_role)
    if access is None:
        raise forbidden(
            f"{claims.user_login}, who started this job, has no role in {claims.job_project_path} (an administrator "
            "needs one, too). Have a member of the project start it."
        )
    role = claims.user_role.name.replace("_", " ").title()
    limit = f"The role {role} of who started this job may read only: have a Developer start it."
    return access, "" if access is Access.WRITE else limit


@dataclass(frozen=True, slots=True)
class JobBook:
    db: Database
    clock: Clock

    def told(self, project_id: ProjectId, job_id: int) -> Told | None:
        with Project(self.db, project_id, self.clock).read() as tx:
            found = jobs.told_of(tx, job_id)
        return None if found is None else Told(*found)

    def keep(self, project_id: ProjectId, job: gitlab_ci.Job) -> None:
        """Note a job that GitLab was asked about. One that runs spares the worker a look at its pipeline, too."""
        now = self.clock()
        with Project(self.db, project_id, self.clock).write() as tx:
            if not jobs.told(tx, job) or job.status in gitlab_ci.ENDED:
                return
            later = now + ASK_AT_LEAST_EVERY_MS
            pipeline_id = child_pipelines.root_of(tx, job.pipeline_id)
            due.postpone(tx, kind=due.PIPELINE, key=pipeline_id, to=later)
