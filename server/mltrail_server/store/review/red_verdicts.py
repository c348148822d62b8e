"""Which models have failed the gate of a merge request: kept whatever becomes of its note, its thread and its runs."""

import hashlib
import json
from dataclasses import dataclass

import sqlalchemy as sa

from mltrail_server.store import schema
from mltrail_server.store.db.transaction import Transaction

_T = schema.red_verdict
_MOST_RULES = 100


@dataclass(frozen=True, slots=True)
class RedVerdict:
    """`rules` are those that were last broken, as the gate's overrides name them. It stands until a run of the model in
    a later pipeline has passed.
    """

    target_branch: str
    model: str
    rules: frozenset[str]
    sha: str
    pipeline_id: int
    at_ms: int
    passed_pipeline_id: int | None = None
    merge_request_iid: int | None = None

    @property
    def stands(self) -> bool:
        return self.passed_pipeline_id is None or self.passed_pipeline_id < self.pipeline_id


def of(tx: Transaction, iid: int, *others: int) -> list[RedVerdict]:
    """List all red verdicts of a merge request, including those that no longer stand; then those of others."""
    query = sa.select(
        _T.c.target_branch,
        _T.c.model_name,
        _T.c.rules,
        _T.c.sha,
        _T.c.pipeline_id,
        _T.c.at_ms,
        _T.c.passed_pipeline_id,
        _T.c.merge_request_iid,
    ).where(_T.c.project_id == tx.project_id, _T.c.merge_request_iid.in_((iid, *others)))
    query = query.order_by(_T.c.merge_request_iid != iid, _T.c.merge_request_iid.desc(), _T.c.key)
    return [RedVerdict(row[0], row[1], frozenset(json.loads(row[2])), *row[3:]) for row in tx.execute(query)]


def keep(tx: Transaction, iid: int, verdict: RedVerdict) -> None:
    """Note that a model has failed."""
    row = {
        "project_id": tx.project_id,
        "merge_request_iid": iid,
        "key": _key(verdict.target_branch, verdict.model),
        "target_branch": verdict.target_branch,
        "model_name": verdict.model,
        "rules": json.dumps(sorted(verdict.rules)[:_MOST_RULES]),
        "sha": verdict.sha,
        "pipeline_id": verdict.pipeline_id,
        "at_ms": verdict.at_ms,
        "passed_pipeline_id": verdict.passed_pipeline_id,
    }
    changing = ["rules", "sha", "pipeline_id", "at_ms", "passed_pipeline_id"]
    tx.upsert(_T, [row], update=changing)


def passed(tx: Transaction, iid: int, *, target: str, model: str, pipeline_id: int) -> None:
    """Note that a run of a model has passed in a pipeline."""
    where = (_T.c.project_id == tx.project_id, _T.c.merge_request_iid == iid, _T.c.key == _key(target, model))
    tx.execute(sa.update(_T).where(*where).values(passed_pipeline_id=pipeline_id, passed_ms=tx.now))


def _key(target: str, model: str) -> str:
    return hashlib.sha256(f"{target}\0{model}".encode()).hexdigest()
