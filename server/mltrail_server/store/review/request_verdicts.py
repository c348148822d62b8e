"""What was last said of a merge request by each of its pipelines: so that lists need not compute any report."""

import json
from collections.abc import Collection
from dataclasses import asdict, dataclass
from typing import Any

import sqlalchemy as sa

from mltrail_server.store import schema
from mltrail_server.store.db.transaction import Transaction

_T = schema.request_verdict
_MOST_MODELS = 20
_LONGEST = 600


@dataclass(frozen=True, slots=True)
class ModelVerdict:
    """A model with the metric that ranks: what it was held to, and its mean; None where that is not known."""

    name: str
    metric: str | None = None
    before: float | None = None
    now: float | None = None


@dataclass(frozen=True, slots=True)
class RequestVerdict:
    """`state` is waiting, ready or empty; `level` and `outcome` are those of the report; `accepted` means that somebody
    has overridden the gate. `sentence` is the first line of the note as plain text, in which users' words may be.
    """

    pipeline_id: int
    state: str
    level: str
    outcome: str | None
    accepted: bool
    sentence: str
    models: tuple[ModelVerdict, ...]
    at_ms: int = 0

    @property
    def blocks(self) -> bool:
        return self.outcome == "fail" and not self.accepted and self.state == "ready"


def of_request(tx: Transaction, iid: int, *, limit: int) -> dict[int, RequestVerdict]:
    """Fetch what the newest pipelines of a merge request said, by pipeline."""
    query = _select(tx).where(_T.c.merge_request_iid == iid).order_by(_T.c.pipeline_id.desc()).limit(limit)
    return {row.pipeline_id: _verdict(row) for row in tx.execute(query)}


def one(tx: Transaction, iid: int, pipeline_id: int) -> RequestVerdict | None:
    query = _select(tx).where(_T.c.merge_request_iid == iid, _T.c.pipeline_id == pipeline_id)
    row = tx.execute(query).one_or_none()
    return None if row is None else _verdict(row)


def newest(tx: Transaction, iids: Collection[int]) -> dict[int, RequestVerdict]:
    """Fetch what the newest pipeline of each merge request said."""
    last = (
        sa.select(_T.c.merge_request_iid, sa.func.max(_T.c.pipeline_id).label("pipeline_id"))
        .where(_T.c.project_id == tx.project_id, _T.c.merge_request_iid.in_(sorted(iids)))
        .group_by(_T.c.merge_request_iid)
        .subquery()
    )
    newest_of = sa.and_(_T.c.merge_request_iid == last.c.merge_request_iid, _T.c.pipeline_id == last.c.pipeline_id)
    query = _select(tx).add_columns(_T.c.merge_request_iid).join(last, newest_of)
    return {row.merge_request_iid: _verdict(row) for row in tx.execute(query)}


def keep(tx: Transaction, iid: int, verdict: RequestVerdict) -> None:
    row = {
        "project_id": tx.project_id,
        "merge_request_iid": iid,
        "pipeline_id": verdict.pipeline_id,
        "state": verdict.state,
        "level": verdict.level,
        "outcome": verdict.outcome,
        "accepted": verdict.accepted,
        "sentence": verdict.sentence,
        "models": json.dumps([asdict(one) for one in verdict.models]),
        "at_ms": tx.now,
    }
    tx.upsert(_T, [row], update=["state", "level", "outcome", "accepted", "sentence", "models", "at_ms"])


def shortened(sentence: str, models: Collection[ModelVerdict]) -> tuple[str, tuple[ModelVerdict, ...]]:
    """Cut what is stored to what lists have room for."""
    cut = sentence if len(sentence) <= _LONGEST else f"{sentence[: _LONGEST - 1]}…"
    return cut, tuple(models)[:_MOST_MODELS]


def _select(tx: Transaction) -> sa.Select[Any]:
    columns = ("pipeline_id", "state", "level", "outcome", "accepted", "sentence", "models", "at_ms")
    return sa.select(*(_T.c[name] for name in columns)).where(_T.c.project_id == tx.project_id)


def _verdict(row: sa.Row[Any]) -> RequestVerdict:
    models = tuple(ModelVerdict(**one) for one in json.loads(row.models))
    return RequestVerdict(
        row.pipeline_id, row.state, row.level, row.outcome, bool(row.accepted), row.sentence, models, row.at_ms
    )
