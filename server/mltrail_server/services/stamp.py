"""Tie candidates to the jobs that make them: written by the server, from what a verified token proves.

Clients can't write the stamp's keys. The values stand as metadata too, so that MLflow clients see and search them.
"""

from collections.abc import Mapping

import sqlalchemy as sa

from mltrail_server.domain.errors import invalid

from .deps import Scope

KEYS = frozenset(
    {
        "gitlab.CI_JOB_ID",
        "gitlab.CI_JOB_URL",
        "gitlab.CI_PIPELINE_ID",
        "gitlab.CI_PIPELINE_URL",
        "gitlab.CI_PIPELINE_SOURCE",
        "gitlab.CI_PROJECT_ID",
        "gitlab.CI_PROJECT_PATH",
        "gitlab.CI_COMMIT_SHA",
        "gitlab.CI_COMMIT_REF_NAME",
        "gitlab.CI_MERGE_REQUEST_IID",
        "gitlab.verified",
    }
)


def on_create(connection: sa.Connection, scope: Scope, candidate_iid: int, tags: Mapping[str, str]) -> dict[str, str]:
    """Tie a new candidate to the job that makes it, and answer the tags that shall be stored.

    What the client sent under the stamp's keys (MLFLOW_RUN_CONTEXT sends some) gives way to the truth.
    """
    del connection, candidate_iid
    return {key: value for key, value in tags.items() if key not in KEYS} if scope.actor.job else dict(tags)


def on_write(connection: sa.Connection, scope: Scope, candidate_iid: int) -> None:
    """Note who writes to a candidate that exists: another job of its pipeline contributes, a stranger amends."""
    del connection, scope, candidate_iid


def on_end(connection: sa.Connection, scope: Scope, candidate_iid: int) -> None:
    """Have the candidate's pipeline looked at, now that the candidate has ended."""
    del connection, scope, candidate_iid


def on_tags(connection: sa.Connection, scope: Scope, candidate_iid: int, tags: Mapping[str, str]) -> dict[str, str]:
    """Check tags that a client sets on a candidate that exists, and answer those that shall be stored.

    Raises INVALID for a key that only the server may write.
    """
    del connection, candidate_iid
    for key in () if scope.deps.settings.local_mode else KEYS.intersection(tags):
        raise invalid(
            f"The tag '{key}' is written by mltrail itself, from the job's ID token. Use another key for your own data."
        )
    return dict(tags)


def on_delete_tag(scope: Scope, key: str) -> None:
    """Refuse to delete a tag that only the server may write."""
    if key in KEYS and not scope.deps.settings.local_mode:
        raise invalid(f"The tag '{key}' is written by mltrail itself and can't be deleted.")
