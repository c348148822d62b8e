"""The contract file that binds a pipeline: read from the target branch, so that nobody relaxes the own gate."""

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
from mltrail_server.store.review.contracts import Changes, Kept

_log = logging.getLogger(__name__)
AGAIN_MS = 60_000
"""So long the target branch's file is taken as it was read last."""

_MOST_BYTES = 4 * 262_144 + 4  # more than the reader takes, in UTF-8
_MOST_KEPT = 262_145  # one character more than the reader takes, so that it says so
_MOST_EARLIER = 20
"""So many earlier versions of a file that can't be read are looked at for one that can be."""


@dataclass(frozen=True, slots=True)
class ContractVersion:
    """One version of the file. Neither a contract nor problems: there is no file. `earlier` is the branch's last
    contract that could be read, where this one can't be and somebody has seen that one.
    """

    contract: Contract | None = None
    problems: tuple[Problem, ...] = ()
    earlier: Contract | None = None

    @property
    def known(self) -> Contract | None:
        """The contract, or else the last one that could be read."""
        return self.contract or self.earlier


@dataclass(frozen=True, slots=True)
class Known:
    """What binds a pipeline. `read` is False while GitLab has not been asked; `proposed` is the merge request's version
    where it changes the file; `changed_paths` is None where nobody knows what the merge request changes.
    """

    read: bool
    binding: ContractVersion
    proposed: ContractVersion | None = None
    changed_paths: tuple[str, ...] | None = None

    @property
    def repaired(self) -> ContractVersion | None:
        """The merge request's version, where that can be read and the one that binds can't."""
        mends = self.binding.problems and self.proposed is not None and self.proposed.contract is not None
        return self.proposed if mends else None


@dataclass(frozen=True, slots=True)
class _File:
    """A file of a commit: its text, or why it is none; neither where there is no file."""

    text: str | None = None
    problem: Problem | None = None

    @property
    def version(self) -> ContractVersion:
        return ContractVersion(problems=(self.problem,)) if self.problem else parsed(self.text)


def refresh(ci: Ci, pipeline: gitlab_ci.Pipeline, request: MergeRequest | None, *, default_branch: str | None) -> None:
    """Read the file that binds a pipeline that is known, and the merge request's own version of it.

    The target branch's counts; the own commit's for the default branch and for tags. When GitLab does not answer, what
    was read last stays.
    """
    with ci.project.read() as tx:
        before = contracts.get(tx, pipeline.id)
    now = ci.now
    own = request is None and (pipeline.tag or default_branch in (None, pipeline.ref))
    moved = request is not None and before.changes != _changes_of(request, before)
    if before.asked_ms is not None and not moved and (own or now - before.asked_ms < AGAIN_MS):
        return
    try:
        if own or default_branch is None:
            found = _read(ci, pipeline.sha)
            kept = Kept(found.text, problem=found.problem, ref=None if pipeline.tag else pipeline.ref)
        elif request is None:
            found = _read(ci, default_branch)
            kept = Kept(found.text, problem=found.problem, ref=default_branch)
        else:
            kept = of_request(ci, pipeline.sha, request, before)
    except MltrailError as error:
        _log.warning("%s of pipeline %s of project %s: %s", FILE_NAME, pipeline.id, ci.project_id, error.message)
        return
    with ci.project.write() as tx:
        contracts.keep(tx, pipeline.id, replace(kept, asked_ms=now))


def of_request(ci: Ci, sha: str, request: MergeRequest, before: Kept) -> Kept:
    """Read what binds a merge request's commit, what it proposes itself, and what it changes. Raises what GitLab's
    refusal means.
    """
    target = request.target_branch
    found = _read(ci, target)
    changes = _changes_of(request, before)
    if changes is None:
        changes = Changes(
            _changed_paths(ci, request.iid, request.head_sha),
            target,
            request.base_sha,
            request.head_sha,
        )
    binding = found.version
    earlier = _earlier(ci, target) if binding.problems else None
    kept = Kept(found.text, None, changes, ref=target, problem=found.problem, earlier=earlier)
    if changes.paths is not None and FILE_NAME not in changes.paths:
        return kept
    own = _read(ci, sha)
    if own == found:
        return kept
    return replace(kept, proposed=own.text or "", proposed_problem=own.problem)


def _changes_of(request: MergeRequest, before: Kept) -> Changes | None:
    """Answer what is known of a merge request's changes; None where it has moved on, or was retargeted."""
    told, at = before.changes, (request.target_branch, request.base_sha, request.head_sha)
    return told if told is not None and (told.target_branch, told.base_sha, told.head_sha) == at else None


def read(ci: Ci, ref: str) -> Contract | None:
    """Read a branch's, a tag's or a commit's contract; None where there is none. Raises ContractError, and what
    GitLab's refusal means.
    """
    found = _read(ci, ref)
    if found.problem is not None:
        raise ContractError([found.problem])
    return None if found.text is None else mltrail_contract.read(found.text)


def of(tx: Transaction, pipeline_id: int, *, head: str | None = None) -> Known:
    """Tell what binds a pipeline, from what is stored. One statement. The changed paths are told where they are those
    of the commit `head`.
    """
    return told(contracts.get(tx, pipeline_id), head=head)


def told(kept: Kept, *, head: str | None) -> Known:
    """Read what was kept."""
    binding = _version(kept.text, kept.problem)
    if binding.problems and kept.earlier is not None:
        binding = replace(binding, earlier=parsed(kept.earlier).contract)
    proposed = None
    if kept.proposed is not None:
        proposed = _version(kept.proposed or None, kept.proposed_problem)
    paths = kept.changes.paths if kept.changes is not None and kept.changes.head_sha == head else None
    return Known(kept.asked_ms is not None, binding, proposed, paths)


def parsed(text: str | None) -> ContractVersion:
    """Read a text of the file."""
    return ContractVersion() if text is None else _parsed(text[:_MOST_KEPT])


def _version(text: str | None, problem: Problem | None) -> ContractVersion:
    return ContractVersion(problems=(problem,)) if problem is not None else parsed(text)


@lru_cache(maxsize=16)
def _parsed(text: str) -> ContractVersion:
    """Read it once: every report needs it, and a long one takes a second."""
    try:
        return ContractVersion(mltrail_contract.read(text))
    except ContractError as error:
        return ContractVersion(problems=error.problems)


def _earlier(ci: Ci, target: str) -> str | None:
    """Find the last version of a branch's file that can be read: among those that were read for its pipelines, else in
    its history, as far as GitLab answers.
    """
    with ci.project.read() as tx:
        seen = contracts.read_from(tx, target, among=_MOST_EARLIER)
    known = next((text for text in seen if parsed(text).contract is not None), None)
    if known is not None:
        return known
    for sha in ci.gitlab.commits_of_file(ci.project_id, FILE_NAME, target, limit=_MOST_EARLIER):
        found = _read(ci, sha)
        if found.text is not None and found.version.contract is not None:
            return found.text
    return None


def _changed_paths(ci: Ci, iid: int, head: str | None) -> tuple[str, ...] | None:
    try:
        paths = ci.gitlab.changed_paths(ci.project_id, iid, head=head)
    except MltrailError as error:
        if error.code is not Code.NOT_FOUND:
            raise
        return None  # GitLab before 15.7 has no such call
    return None if paths is None else tuple(paths)


def _read(ci: Ci, ref: str) -> _File:
    content = ci.gitlab.raw_file(ci.project_id, FILE_NAME, ref, most=_MOST_BYTES)
    if content is None:
        return _File()
    try:
        return _File(mltrail_contract.decoded(content)[:_MOST_KEPT])
    except ContractError as error:
        return _File(problem=error.problems[0])
