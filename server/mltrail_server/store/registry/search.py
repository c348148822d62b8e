"""Searching models and versions."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import sqlalchemy as sa

from mltrail_server.domain.errors import invalid
from mltrail_server.domain.filters import Clause, Entity, Order
from mltrail_server.domain.model import PROMPT_TAG
from mltrail_server.domain.reasons import Reason
from mltrail_server.store import schema
from mltrail_server.store.db.filters import compare_number, compare_text
from mltrail_server.store.db.paging import Sorted, mark_of, page, token_of
from mltrail_server.store.db.transaction import Transaction

from . import models, versions
from .models import Model, model_of
from .versions import Version

_MODEL = schema.model
_MODEL_TAG = schema.model_tag
_VERSION = schema.model_version
_VERSION_TAG = schema.model_version_tag

Column = sa.ColumnElement[Any]
_MODEL_TEXTS: dict[str, Column] = {"name": _MODEL.c.name}
_MODEL_NUMBERS: dict[str, Column] = {
    "creation_timestamp": _MODEL.c.created_ms,
    "last_updated_timestamp": _MODEL.c.updated_ms,
    "timestamp": _MODEL.c.updated_ms,
}
_EID = sa.func.coalesce(schema.candidate.c.eid, "")
_VERSION_TEXTS: dict[str, Column] = {"name": _MODEL.c.name, "run_id": _EID, "source_path": _VERSION.c.source}
_VERSION_NUMBERS: dict[str, Column] = {
    "version_number": _VERSION.c.number,
    "creation_timestamp": _VERSION.c.created_ms,
    "last_updated_timestamp": _VERSION.c.updated_ms,
}


def search_models(
    tx: Transaction, *, clauses: Sequence[Clause], orders: Sequence[Order], limit: int, token: str | None
) -> tuple[list[Model], str | None]:
    """Find a page of models with their tags, in two statements; by name unless `orders` says otherwise."""
    owned = (_MODEL_TAG.c.project_id == _MODEL.c.project_id, _MODEL_TAG.c.model_id == _MODEL.c.id)
    tagged = sa.select(sa.literal(1)).select_from(_MODEL_TAG).where(*owned).correlate(_MODEL)
    query = sa.select(*models.COLUMNS).where(
        _MODEL.c.project_id == tx.project_id,
        *_matches(clauses, _MODEL_TEXTS, _MODEL_NUMBERS, lambda key: tagged.where(_MODEL_TAG.c.key == key)),
    )
    order = _sorted(orders, _MODEL_TEXTS | _MODEL_NUMBERS) or [Sorted(_MODEL.c.name)]
    order.append(Sorted(_MODEL.c.id))
    mark = mark_of("models", clauses, orders)
    rows = tx.execute(page(query, order, limit=limit, token=token, mark=mark)).all()
    shown = rows[:limit]
    tags = models.tags_of(tx, [row.id for row in shown]) if shown else {}
    found = [model_of(row, tags.get(row.id, ())) for row in shown]
    return found, token_of(shown[-1], order, mark) if len(rows) > limit else None


def search_versions(
    tx: Transaction, *, clauses: Sequence[Clause], orders: Sequence[Order], limit: int, token: str | None
) -> tuple[list[Version], str | None]:
    """Find a page of versions, in three statements; the last changed first unless `orders` says otherwise."""
    owned = (
        _VERSION_TAG.c.project_id == _VERSION.c.project_id,
        _VERSION_TAG.c.model_id == _VERSION.c.model_id,
        _VERSION_TAG.c.number == _VERSION.c.number,
    )
    tagged = sa.select(sa.literal(1)).select_from(_VERSION_TAG).where(*owned).correlate(_VERSION)
    query = versions.select().where(
        _VERSION.c.project_id == tx.project_id,
        *_matches(clauses, _VERSION_TEXTS, _VERSION_NUMBERS, lambda key: tagged.where(_VERSION_TAG.c.key == key)),
    )
    order = _sorted(orders, _VERSION_TEXTS | _VERSION_NUMBERS) or [
        Sorted(_VERSION.c.updated_ms, descending=True),
        Sorted(_MODEL.c.name),
    ]
    order += [Sorted(_VERSION.c.number, descending=True), Sorted(_VERSION.c.model_id)]
    mark = mark_of("versions", clauses, orders)
    rows = tx.execute(page(query, order, limit=limit, token=token, mark=mark)).all()
    shown = rows[:limit]
    found = versions.filled(tx, shown)
    return found, token_of(shown[-1], order, mark) if len(rows) > limit else None


def _matches(
    clauses: Sequence[Clause],
    texts: dict[str, Column],
    numbers: dict[str, Column],
    tagged: Callable[[str], sa.Select[Any]],
) -> list[sa.ColumnElement[bool]]:
    """Turn clauses into conditions. Prompts are excluded unless a clause asks for them, as in MLflow."""
    value = _MODEL_TAG.c.value if texts is _MODEL_TEXTS else _VERSION_TAG.c.value
    asked = [clause for clause in clauses if (clause.entity, clause.key) == (Entity.TAG, PROMPT_TAG)]
    others = [clause for clause in clauses if clause not in asked]
    is_prompt = tagged(PROMPT_TAG).where(value == "true").exists()
    wants_prompts = any((one.operator, one.value) in (("=", "true"), ("!=", "false")) for one in asked)
    conditions = [is_prompt if wants_prompts else ~is_prompt]
    for clause in others:
        if clause.entity is Entity.TAG:
            conditions.append(_tag_matches(clause, tagged(clause.key), value))
        elif clause.entity is Entity.ATTRIBUTE and clause.key in texts:
            conditions.append(compare_text(texts[clause.key], clause))
        elif clause.entity is Entity.ATTRIBUTE and clause.key in numbers:
            conditions.append(compare_number(numbers[clause.key], _unquoted(clause)))
        else:
            keys = ", ".join([*texts, *numbers])
            choices = f"Filter by one of {keys}, or by tags."
            raise invalid(Reason.FILTER_KEY, entity=clause.entity, key=clause.key, choices=choices)
    return conditions


def _tag_matches(clause: Clause, there: sa.Select[Any], value: Column) -> sa.ColumnElement[bool]:
    if clause.operator == "IS NULL":
        return ~there.exists()
    if clause.operator == "IS NOT NULL":
        return there.exists()
    return there.where(compare_text(value, clause)).exists()


def _sorted(orders: Sequence[Order], columns: dict[str, Column]) -> list[Sorted]:
    # GitLab's names for what MLflow's clients call something else.
    known = columns | {"created_at": columns["creation_timestamp"], "updated_at": columns["last_updated_timestamp"]}
    for order in orders:
        if order.entity is not Entity.ATTRIBUTE or order.key not in known:
            raise invalid(Reason.ORDER_KEY, key=order.key, choices=f"sort by one of {', '.join(columns)}.")
    return [Sorted(known[order.key], order.descending) for order in orders]


def _unquoted(clause: Clause) -> Clause:
    """Accept a version's number in quotes, as MLflow does."""
    if clause.key == "version_number" and isinstance(clause.value, str) and clause.value.isdecimal():
        return replace(clause, value=float(clause.value))
    return clause
