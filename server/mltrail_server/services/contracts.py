"""The contract file that binds a pipeline: read from the target branch, so that nobody relaxes the own gate."""

import logging
from dataclasses import dataclass, replace
from functools import lru_cache

import sqlalchemy as sa

import mltrail_contract
from mltrail_contract import FILE_NAME, Contract, ContractError, Problem
from mltrail_server.domain import ci
from mltrail_server.domain.errors import Code, MltrailError
from mltrail_server.domain.ids import ProjectId
from mltrail_server.gitlab.client import GitLab
from mltrail_server.store import contracts
from mltrail_server.store.contracts import Kept
from mltrail_server.store.merge_requests import MergeRequest

from .deps import Deps

_log = logging.getLogger(__name__)
AGAIN_MS = 60_000
"""So long the target branch's file is taken as it was read last."""

_MOST_BYTES = 4 * 262_144 + 4  # more than the reader takes, in UTF-8
_MOST_KEPT = 262_145  # one character more than the reader takes, so that it says so


@dataclass(frozen=True, slots=True)
class Version:
    """One version of the file. Neither a contract nor problems: there is no file."""

    contract: Contract | None = None
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class Known:
    """What binds a pipeline. `read` is False while GitLab has not been asked; `proposed` is the merge request's version
    where it changes the file; `changed_paths` is None where nobody knows what the merge request changes.
    """

    read: bool
    binding: Version
    proposed: Version | None = None
    changed_paths: tuple[str, ...] | None = None


def refresh(
    deps: Deps,
    gitlab: GitLab,
    project_id: ProjectId,
    pipeline: ci.Pipeline,
    request: MergeRequest | ci.MergeRequest | None,
    *,
    default_branch: str | None,
) -> None:
    """Read the file that binds a pipeline that is known, and the merge request's own version of it.

    The target branch's counts; the own commit's for the default branch and for tags. When GitLab does not answer, what
    was read last stays.
    """
    with deps.db.read() as connection:
        before = contracts.get(connection, project_id, pipeline.id)
    now = deps.clock()
    own = request is None and (pipeline.tag or default_branch in (None, pipeline.ref))
    if before.asked_ms is not None and (own or now - before.asked_ms < AGAIN_MS):
        return
    try:
        if own or default_branch is None:
            kept = Kept(_read(gitlab, project_id, pipeline.sha))
        elif request is None:
            kept = Kept(_read(gitlab, project_id, default_branch))
        else:
            kept = _of_request(gitlab, project_id, pipeline, request, before)
    except MltrailError as error:
        _log.warning("%s of pipeline %s of project %s: %s", FILE_NAME, pipeline.id, project_id, error.message)
        return
    with deps.db.write() as connection:
        contracts.keep(connection, project_id, pipeline.id, replace(kept, asked_ms=now))


def read(gitlab: GitLab, project_id: ProjectId, ref: str) -> Contract | None:
    """Read a branch's, a tag's or a commit's contract; None where there is none. Raises ContractError, and what
    GitLab's refusal means.
    """
    text = _read(gitlab, project_id, ref)
    return None if text is None else mltrail_contract.read(text)


def of(connection: sa.Connection, project_id: ProjectId, pipeline_id: int) -> Known:
    """Tell what binds a pipeline, from what is stored. One statement."""
    kept = contracts.get(connection, project_id, pipeline_id)
    proposed = None if kept.proposed is None else parsed(kept.proposed or None)
    return Known(kept.asked_ms is not None, parsed(kept.text), proposed, kept.changed_paths)


def parsed(text: str | None) -> Version:
    """Read a text of the file."""
    return Version() if text is None else _parsed(text[:_MOST_KEPT])


@lru_cache(maxsize=16)
def _parsed(text: str) -> Version:
    """Read it once: every report needs it, and a long one takes a second."""
    try:
        return Version(mltrail_contract.read(text))
    except ContractError as error:
        return Version(problems=error.problems)


def _of_request(
    gitlab: GitLab, project_id: ProjectId, pipeline: ci.Pipeline, request: MergeRequest | ci.MergeRequest, before: Kept
) -> Kept:
    text = _read(gitlab, project_id, request.target_branch)
    changed = before.changed_paths
    if before.asked_ms is None:
        changed = _changed_paths(gitlab, project_id, request.iid)
        if changed is not None and FILE_NAME not in changed:
            return Kept(text, None, changed)
        own = _read(gitlab, project_id, pipeline.sha)
    elif changed is not None and FILE_NAME not in changed:
        return Kept(text, None, changed)
    else:
        # A commit's file never changes.
        own = before.text if before.proposed is None else before.proposed or None
    return Kept(text, None if own == text else own or "", changed)


def _changed_paths(gitlab: GitLab, project_id: ProjectId, iid: int) -> tuple[str, ...] | None:
    try:
        paths = gitlab.changed_paths(project_id, iid)
    except MltrailError as error:
        if error.code is not Code.NOT_FOUND:
            raise
        return None  # GitLab before 15.7 has no such call
    return None if paths is None else tuple(paths)


def _read(gitlab: GitLab, project_id: ProjectId, ref: str) -> str | None:
    content = gitlab.raw_file(project_id, FILE_NAME, ref, most=_MOST_BYTES)
    # PostgreSQL stores no NUL.
    return None if content is None else content.decode("utf-8-sig", "replace").replace("\0", "\ufffd")[:_MOST_KEPT]
