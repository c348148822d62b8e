"""Which runs and prompts a trace belongs to.

A link stays when its trace is deleted by others than the run's own jobs, and says by whom: evidence that was taken away
is not the same as evidence that never existed.
"""

from collections.abc import Iterable, Sequence

import sqlalchemy as sa

from mltrail_server.store import schema
from mltrail_server.store.db.transaction import Transaction

_T = schema.candidate_trace
_PROMPT = schema.trace_prompt


def to_run(
    tx: Transaction, candidate_iid: int, trace_ids: Iterable[str], *, own: bool, job_id: int | None = None
) -> None:
    """Link traces to a run. A link that is the run's own stays so, whoever sends it again, and so does the job that was
    the first to link it.
    """
    link = {"project_id": tx.project_id, "candidate_iid": candidate_iid, "own": own, "job_id": job_id}
    rows = [link | {"trace_id": trace_id} for trace_id in sorted(set(trace_ids))]
    tx.upsert(_T, rows, update=["own"] if own else ())


def runs_of(tx: Transaction, trace_ids: Sequence[str]) -> dict[str, list[tuple[str, bool]]]:
    """Fetch the run ids of several traces, each with whether the link is the run's own."""
    run = schema.candidate
    same = (run.c.project_id == _T.c.project_id) & (run.c.iid == _T.c.candidate_iid)
    query = sa.select(_T.c.trace_id, run.c.eid, _T.c.own).join(run, same)
    query = query.where(_T.c.project_id == tx.project_id, _T.c.trace_id.in_(trace_ids)).order_by(run.c.iid)
    found: dict[str, list[tuple[str, bool]]] = {}
    for trace_id, eid, own in tx.execute(query):
        found.setdefault(trace_id, []).append((eid, bool(own)))
    return found


def to_prompts(tx: Transaction, trace_id: str, versions: Iterable[tuple[str, str]]) -> None:
    """Link a trace to versions of prompts: name and version."""
    owner = {"project_id": tx.project_id, "trace_id": trace_id}
    tx.upsert(_PROMPT, [owner | {"name": name, "version": version} for name, version in sorted(set(versions))])


def prompts_of(tx: Transaction, trace_ids: Sequence[str]) -> dict[str, list[tuple[str, str]]]:
    """Fetch name and version of the prompts of several traces."""
    query = sa.select(_PROMPT.c.trace_id, _PROMPT.c.name, _PROMPT.c.version).where(
        _PROMPT.c.project_id == tx.project_id, _PROMPT.c.trace_id.in_(trace_ids)
    )
    found: dict[str, list[tuple[str, str]]] = {}
    for trace_id, name, version in tx.execute(query.order_by(_PROMPT.c.name, _PROMPT.c.version)):
        found.setdefault(trace_id, []).append((name, version))
    return found


def note_deleted(tx: Transaction, trace_ids: Sequence[str], *, by: str) -> None:
    """Note in the links of traces that they are deleted, and by whom."""
    where = (_T.c.project_id == tx.project_id, _T.c.trace_id.in_(trace_ids))
    tx.execute(sa.update(_T).where(*where).values(deleted_by=by))


def remove(tx: Transaction, trace_ids: Sequence[str], *, job_id: int) -> None:
    """Remove the links of traces that the job has made, which takes the traces back."""
    where = (_T.c.project_id == tx.project_id, _T.c.trace_id.in_(trace_ids), _T.c.job_id == job_id)
    tx.execute(sa.delete(_T).where(*where))


def is_evidence(tx: Transaction, trace_id: str, *, beside: int | None) -> bool:
    """Return whether a trace is evidence of a run other than the one `beside`, or of any."""
    where = [_T.c.project_id == tx.project_id, _T.c.trace_id == trace_id, _T.c.own]
    if beside is not None:
        where.append(_T.c.candidate_iid != beside)
    return tx.execute(sa.select(sa.literal(1)).where(*where).limit(1)).first() is not None
