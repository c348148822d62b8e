"""A page of a project's experiments, each with the time of its last change: its own, or that of its newest run."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from mltrail_server.domain import model
from mltrail_server.domain.candidate import Stage
from mltrail_server.domain.pairs import NONE, Pairs
from mltrail_server.store import schema
from mltrail_server.store.db.paging import Sorted, mark_of, page, token_of
from mltrail_server.store.db.transaction import Transaction
from mltrail_server.store.tracking import experiments
from mltrail_server.store.tracking.experiments import Experiment

_T = schema.experiment
_RUN = schema.candidate


class ExperimentOrder(StrEnum):
    CHANGED = "changed"
    CREATED = "created"
    NAME = "name"


@dataclass(frozen=True, slots=True)
class ChangedExperiment:
    experiment: Experiment
    changed_ms: int


@dataclass(frozen=True, slots=True)
class ExperimentQuery:
    """`text` is a part of the name. `empty_models` also lists the experiments of models in which there is no run."""

    text: str = ""
    order: ExperimentOrder = ExperimentOrder.CHANGED
    stages: Sequence[Stage] = (Stage.ACTIVE,)
    empty_models: bool = False


def listed(
    tx: Transaction, query: ExperimentQuery, *, limit: int, token: str | None
) -> tuple[list[ChangedExperiment], str | None]:
    """Return a page of experiments with their tags, and the next page's token, in one statement."""
    every = _listed(tx, query).subquery()
    columns = {
        ExperimentOrder.CHANGED: Sorted(every.c.changed_ms, descending=True),
        ExperimentOrder.CREATED: Sorted(every.c.created_ms, descending=True),
        ExperimentOrder.NAME: Sorted(every.c.name),
    }
    order = [columns[query.order], Sorted(every.c.iid, descending=True)]
    mark = mark_of("listed experiments", query)
    query_of_page = page(
        sa.select(every, experiments.tags_of(every.c.iid, tx.dialect).label("tags")),
        order,
        limit=limit,
        token=token,
        mark=mark,
    )
    rows = tx.execute(query_of_page, {"project_id": tx.project_id}).all()
    shown = rows[:limit]
    found = [
        ChangedExperiment(
            Experiment(
                row.iid,
                row.name,
                Stage(row.stage),
                row.created_ms,
                row.updated_ms,
                Pairs(row.tags) if row.tags else NONE,
            ),
            row.changed_ms,
        )
        for row in shown
    ]
    return found, token_of(shown[-1], order, mark) if len(rows) > limit else None


def count_empty_models(tx: Transaction, stages: Sequence[Stage], *, most: int) -> int:
    """Count the experiments of models without a run, up to `most`."""
    query = sa.select(sa.literal(1)).where(_T.c.project_id == tx.project_id, _T.c.stage.in_(stages), _empty_model())
    found: int = tx.execute(sa.select(sa.func.count()).select_from(query.limit(most).subquery())).scalar_one()
    return found


def _listed(tx: Transaction, query: ExperimentQuery) -> sa.Select[Any]:
    last_run = (
        sa.select(sa.func.coalesce(_RUN.c.ended_ms, _RUN.c.started_ms))
        .where(_of_experiment(), _RUN.c.stage.in_(query.stages))
        .order_by(_RUN.c.started_ms.desc())
        .limit(1)
        .correlate(_T)
        .scalar_subquery()
    )
    kept = [_T.c.project_id == tx.project_id, _T.c.stage.in_(query.stages)]
    if query.text:
        kept.append(_T.c.name.icontains(query.text, autoescape=True))
    if not query.empty_models:
        kept.append(~_empty_model())
    found = sa.select(
        _T.c.iid, _T.c.name, _T.c.stage, _T.c.created_ms, _T.c.updated_ms, last_run.label("run_ms")
    ).where(*kept)
    each = found.subquery()
    changed = sa.case((each.c.run_ms > each.c.updated_ms, each.c.run_ms), else_=each.c.updated_ms)
    return sa.select(each, changed.label("changed_ms"))


def _empty_model() -> sa.ColumnElement[bool]:
    of_model = _T.c.name.startswith(model.experiment_name(""), autoescape=True)
    has_run = sa.select(sa.literal(1)).select_from(_RUN).where(_of_experiment()).correlate(_T).exists()
    return sa.and_(of_model, ~has_run)


def _of_experiment() -> sa.ColumnElement[bool]:
    return sa.and_(_RUN.c.project_id == _T.c.project_id, _RUN.c.experiment_iid == _T.c.iid)
