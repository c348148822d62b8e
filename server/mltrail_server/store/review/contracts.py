"""The contract file of a pipeline, as it was read from GitLab."""

import json
from dataclasses import dataclass

import sqlalchemy as sa

from mltrail_contract import Problem
from mltrail_server.store import schema
from mltrail_server.store.db.transaction import Transaction

_T = schema.pipeline


@dataclass(frozen=True, slots=True)
class Changes:
    """The paths that a merge request changes, old names of moved files too, and between which commits. `paths` is None
    if they are unknown.
    """

    paths: tuple[str, ...] | None
    target_branch: str
    base_sha: str | None
    head_sha: str | None


@dataclass(frozen=True, slots=True)
class StoredContract:
    """`text` is the file that binds the pipeline, None if there is none. `proposed` is the merge request's own if it
    differs, "" if it is removed. `problem` says why a file could not be read. `changes` is None if nobody has asked.
    `ref` is the branch that the file was read from, and `earlier` the branch's last readable file if this one is not.
    `asked_ms` is when GitLab last answered, None while it has not.
    """

    text: str | None = None
    proposed: str | None = None
    changes: Changes | None = None
    asked_ms: int | None = None
    ref: str | None = None
    problem: Problem | None = None
    proposed_problem: Problem | None = None
    earlier: str | None = None


def get(tx: Transaction, pipeline_id: int) -> StoredContract:
    query = sa.select(
        _T.c.contract,
        _T.c.proposed_contract,
        _T.c.changed_paths,
        _T.c.changed_at,
        _T.c.contract_ms,
        _T.c.contract_ref,
        _T.c.contract_problem,
        _T.c.proposed_problem,
        _T.c.earlier_contract,
    )
    row = tx.execute(query.where(_T.c.project_id == tx.project_id, _T.c.id == pipeline_id)).one_or_none()
    if row is None:
        return StoredContract()
    changes = None
    if row.changed_at is not None:
        paths = None if row.changed_paths is None else tuple(json.loads(row.changed_paths))
        changes = Changes(paths, *json.loads(row.changed_at))
    return StoredContract(
        row.contract,
        row.proposed_contract,
        changes,
        row.contract_ms,
        row.contract_ref,
        _problem(row.contract_problem),
        _problem(row.proposed_problem),
        row.earlier_contract,
    )


def newest(tx: Transaction, *, among: int) -> str | None:
    """Fetch the file that binds the newest pipeline whose file was read, preferably one of the default branch. None if
    none of the `among` newest pipelines has one. A tag's file counts for the tag only.
    """
    recent = (
        sa.select(_T.c.id, _T.c.on_default_branch, _T.c.is_tag, _T.c.contract_ms)
        .where(_T.c.project_id == tx.project_id)
        .order_by(_T.c.id.desc())
        .limit(among)
        .subquery()
    )
    query = (
        sa.select(_T.c.contract)
        .join_from(_T, recent, _T.c.id == recent.c.id)
        .where(_T.c.project_id == tx.project_id, recent.c.contract_ms.is_not(None), recent.c.is_tag.is_(sa.false()))
        .order_by(recent.c.on_default_branch.desc(), recent.c.id.desc())
    )
    found: str | None = tx.execute(query.limit(1)).scalar()
    return found


def read_from(tx: Transaction, ref: str, *, among: int) -> list[str]:
    """List the files that were read from a branch for its `among` newest pipelines, the newest first, each once."""
    query = (
        sa.select(_T.c.contract)
        .where(_T.c.project_id == tx.project_id, _T.c.contract_ref == ref, _T.c.contract.is_not(None))
        .order_by(_T.c.contract_ms.desc(), _T.c.id.desc())
    )
    return list(dict.fromkeys(tx.execute(query.limit(among)).scalars()))


def keep(tx: Transaction, pipeline_id: int, kept: StoredContract) -> None:
    """Store what was read for a known pipeline."""
    changes = kept.changes
    paths = None if changes is None or changes.paths is None else json.dumps(changes.paths)
    at = None if changes is None else json.dumps([changes.target_branch, changes.base_sha, changes.head_sha])
    where = (_T.c.project_id == tx.project_id, _T.c.id == pipeline_id)
    tx.execute(
        sa.update(_T)
        .where(*where)
        .values(
            contract=kept.text,
            proposed_contract=kept.proposed,
            changed_paths=paths,
            changed_at=at,
            contract_ms=kept.asked_ms,
            contract_ref=kept.ref,
            contract_problem=_problem_json(kept.problem),
            proposed_problem=_problem_json(kept.proposed_problem),
            earlier_contract=kept.earlier,
        )
    )


def _problem(text: str | None) -> Problem | None:
    return None if text is None else Problem(*json.loads(text))


def _problem_json(problem: Problem | None) -> str | None:
    return None if problem is None else json.dumps([problem.line, problem.column, problem.key, problem.message])
