"""The contract file that binds a pipeline: the target branch's, so that a merge request cannot relax its own gate."""

import logging
from dataclasses import dataclass, replace
from functools import lru_cache

import mltrail_contract
from mltrail_contract import FILE_NAME, Contract, ContractError, Problem
from mltrail_server.domain import gitlab_ci
from mltrail_server.domain.errors import Code, MltrailError
from mltrail_server.services.context.deps import Ci
from mltrail_server.store.ci.merge_requests import MergeRequest
from mltrail_server.store.db.transaction import Transaction
from mltrail_server.store.review import contracts
from mltrail_server.store.review.contracts import Changes, StoredContract

_log = logging.getLogger(__name__)

REREAD_AFTER_MS = 60_000
"""How long the target branch's file is used as it was last read, before it is read again."""

_MOST_BYTES = 4 * 262_144 + 4  # more than the reader accepts, in UTF-8
_MOST_CHARACTERS = 262_145  # one more than the reader accepts, so that it says so
_MOST_EARLIER = 20
"""How many earlier versions of an invalid file are searched for a valid one."""


@dataclass(frozen=True, slots=True)
class ContractVersion:
    """One version of the file. With neither a contract nor problems there is no file. If this version is invalid,
    `earlier` is the branch's last valid contract, if one was found.
    """

    contract: Contract | None = None
    problems: tuple[Problem, ...] = ()
    earlier: Contract | None = None

    @property
    def known(self) -> Contract | None:
        """The contract, or else the last valid one."""
        return self.contract or self.earlier


@dataclass(frozen=True, slots=True)
class PipelineContract:
    """What binds a pipeline. `read` is False until GitLab has been asked; `proposed` is the merge request's version if
    it changes the file; `changed_paths` is None if it is not known what the merge request changes.
    """

    read: bool
    binding: ContractVersion
    proposed: ContractVersion | None = None
    changed_paths: tuple[str, ...] | None = None

    @property
    def repaired(self) -> ContractVersion | None:
        """The merge request's version, if it is valid and the one that binds is not."""
        repairs = self.binding.problems and self.proposed is not None and self.proposed.contract is not None
        return self.proposed if repairs else None


@dataclass(frozen=True, slots=True)
class _File:
    """The file in one commit: its text, or why it is not text; neither if there is no file."""

    text: str | None = None
    problem: Problem | None = None

    @property
    def version(self) -> ContractVersion:
        return ContractVersion(problems=(self.problem,)) if self.problem else parsed(self.text)


def refresh(
    ci: Ci, pipeline: gitlab_ci.GitLabPipeline, request: MergeRequest | None, *, default_branch: str | None
) -> None:
    """Read the file that binds a stored pipeline, and the merge request's own version of it.

    The target branch's file counts; on the default branch and for tags the commit's own. If GitLab does not answer, the
    file stays as it was last read.
    """
    with ci.project.read() as tx:
        before = contracts.get(tx, pipeline.id)
    now = ci.now
    own = request is None and (pipeline.tag or default_branch in (None, pipeline.ref))
    moved = request is not None and before.changes != _changes_of(request, before)
    if before.asked_ms is not None and not moved and (own or now - before.asked_ms < REREAD_AFTER_MS):
        return
    try:
        if own or default_branch is None:
            file = _read(ci, pipeline.sha)
            kept = StoredContract(file.text, problem=file.problem, ref=None if pipeline.tag else pipeline.ref)
        elif request is None:
            file = _read(ci, default_branch)
            kept = StoredContract(file.text, problem=file.problem, ref=default_branch)
        else:
            kept = of_request(ci, pipeline.sha, request, before)
    except MltrailError as error:
        _log.warning("%s of pipeline %s of project %s: %s", FILE_NAME, pipeline.id, ci.project_id, error.message)
        return
    with ci.project.write() as tx:
        contracts.keep(tx, pipeline.id, replace(kept, asked_ms=now))


def of_request(ci: Ci, sha: str, request: MergeRequest, before: StoredContract) -> StoredContract:
    """Read what binds a merge request's commit, what it proposes itself, and what it changes. Raises the error that
    GitLab's refusal stands for.
    """
    target = request.target_branch
    file = _read(ci, target)
    changes = _changes_of(request, before)
    if changes is None:
        changes = Changes(
            _changed_paths(ci, request.iid, request.head_sha),
            target,
            request.base_sha,
            request.head_sha,
        )
    earlier = _last_valid(ci, target) if file.version.problems else None
    kept = StoredContract(file.text, None, changes, ref=target, problem=file.problem, earlier=earlier)
    if changes.paths is not None and FILE_NAME not in changes.paths:
        return kept
    own = _read(ci, sha)
    if own == file:
        return kept
    return replace(kept, proposed=own.text or "", proposed_problem=own.problem)


def read(ci: Ci, ref: str) -> Contract | None:
    """Read the contract of a branch, a tag or a commit; None if there is none. Raises ContractError, and the error that
    GitLab's refusal stands for.
    """
    file = _read(ci, ref)
    if file.problem is not None:
        raise ContractError([file.problem])
    return None if file.text is None else mltrail_contract.read(file.text)


def of_pipeline(tx: Transaction, pipeline_id: int, *, head: str | None = None) -> PipelineContract:
    """Read from the database what binds a pipeline. One statement. The changed paths are included only if they are
    those of the commit `head`.
    """
    return from_stored(contracts.get(tx, pipeline_id), head=head)


def from_stored(kept: StoredContract, *, head: str | None) -> PipelineContract:
    """Parse a stored row of a pipeline's contract."""
    binding = _version(kept.text, kept.problem)
    if binding.problems and kept.earlier is not None:
        binding = replace(binding, earlier=parsed(kept.earlier).contract)
    proposed = None
    if kept.proposed is not None:
        proposed = _version(kept.proposed or None, kept.proposed_problem)
    paths = kept.changes.paths if kept.changes is not None and kept.changes.head_sha == head else None
    return PipelineContract(kept.asked_ms is not None, binding, proposed, paths)


def parsed(text: str | None) -> ContractVersion:
    """Parse the text of the file; None stands for no file."""
    return ContractVersion() if text is None else _parsed(text[:_MOST_CHARACTERS])


def _version(text: str | None, problem: Problem | None) -> ContractVersion:
    return ContractVersion(problems=(problem,)) if problem is not None else parsed(text)


@lru_cache(maxsize=16)
def _parsed(text: str) -> ContractVersion:
    """Parse each text once: every report needs it, and a long one takes a second."""
    try:
        return ContractVersion(mltrail_contract.read(text))
    except ContractError as error:
        return ContractVersion(problems=error.problems)


def _changes_of(request: MergeRequest, before: StoredContract) -> Changes | None:
    """Return a merge request's stored changes; None if it has new commits or another target since they were read."""
    changes, at = before.changes, (request.target_branch, request.base_sha, request.head_sha)
    return changes if changes and (changes.target_branch, changes.base_sha, changes.head_sha) == at else None


def _last_valid(ci: Ci, target: str) -> str | None:
    """Find the last valid version of a branch's file: among those that were read for its pipelines, else in its history
    as far as GitLab returns it.
    """
    with ci.project.read() as tx:
        texts = contracts.read_from(tx, target, among=_MOST_EARLIER)
    stored = next((text for text in texts if parsed(text).contract is not None), None)
    if stored is not None:
        return stored
    for sha in ci.gitlab.commits_of_file(ci.project_id, FILE_NAME, target, limit=_MOST_EARLIER):
        file = _read(ci, sha)
        if file.text is not None and file.version.contract is not None:
            return file.text
    return None


def _changed_paths(ci: Ci, iid: int, head: str | None) -> tuple[str, ...] | None:
    try:
        paths = ci.gitlab.changed_paths(ci.project_id, iid, head=head)
    except MltrailError as error:
        if error.code is not Code.NOT_FOUND:
            raise
        return None  # GitLab before 15.7 does not have this call
    return None if paths is None else tuple(paths)


def _read(ci: Ci, ref: str) -> _File:
    content = ci.gitlab.raw_file(ci.project_id, FILE_NAME, ref, most=_MOST_BYTES)
    if content is None:
        return _File()
    try:
        return _File(mltrail_contract.decoded(content)[:_MOST_CHARACTERS])
    except ContractError as error:
        return _File(problem=error.problems[0])
