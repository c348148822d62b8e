"""The models of several projects, for a catalogue: each function is one statement, whatever their number.

The projects are named by the caller, who has checked that the person may see them.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from mltrail_server.domain.ids import ProjectId
from mltrail_server.domain.model import PROMPT_TAG
from mltrail_server.store import schema
from mltrail_server.store.tracking.metrics import NAN

_MODEL = schema.model
_TAG = schema.model_tag
_ALIAS = schema.model_alias
_VERSION = schema.model_version
_PROMOTION = schema.promotion
_LATEST = schema.latest_metric
_KEY = schema.metric_key

Key = tuple[ProjectId, int]
"""A model, version or run by its project and its number there."""


@dataclass(frozen=True, slots=True)
class Entry:
    project_id: ProjectId
    model_id: int
    name: str
    updated_ms: int


@dataclass(frozen=True, slots=True)
class CatalogueVersion:
    """A version; `merge_request_iid` is the one that it was promoted from."""

    number: int
    semver: str
    created_ms: int
    user_name: str
    candidate_iid: int | None
    merge_request_iid: int | None


def is_prompt() -> sa.ColumnElement[bool]:
    """Check whether a registered model is a prompt, which MLflow keeps among models."""
    of_model = (_TAG.c.project_id == _MODEL.c.project_id, _TAG.c.model_id == _MODEL.c.id)
    marked = sa.select(sa.literal(1)).where(*of_model, _TAG.c.key == PROMPT_TAG, _TAG.c.value == "true")
    return marked.correlate(_MODEL).exists()


def entries(
    connection: sa.Connection, project_ids: Sequence[ProjectId], *, name: str, alias: str, limit: int
) -> list[Entry]:
    """List the models whose name contains a text and that have an alias, the last changed first; prompts are none."""
    query = sa.select(_MODEL.c.project_id, _MODEL.c.id, _MODEL.c.name, _MODEL.c.updated_ms).where(
        _MODEL.c.project_id.in_(project_ids), ~is_prompt()
    )
    if name:
        query = query.where(_MODEL.c.name.icontains(name, autoescape=True))
    if alias:
        has_alias = sa.select(sa.literal(1)).where(
            _ALIAS.c.project_id == _MODEL.c.project_id, _ALIAS.c.model_id == _MODEL.c.id, _ALIAS.c.alias == alias
        )
        query = query.where(has_alias.correlate(_MODEL).exists())
    query = query.order_by(_MODEL.c.updated_ms.desc(), _MODEL.c.project_id, _MODEL.c.id).limit(limit)
    return [Entry(ProjectId(number), *rest) for number, *rest in connection.execute(query)]


def aliases(connection: sa.Connection, models: Sequence[Key]) -> dict[Key, list[tuple[str, int]]]:
    """Fetch the aliases of some models, and the numbers of the versions that they point at."""
    query = sa.select(_ALIAS.c.project_id, _ALIAS.c.model_id, _ALIAS.c.alias, _ALIAS.c.number)
    query = query.where(_among(_ALIAS.c.project_id, _ALIAS.c.model_id, models)).order_by(_ALIAS.c.alias)
    found: dict[Key, list[tuple[str, int]]] = {}
    for project_id, model_id, alias, number in connection.execute(query):
        found.setdefault((ProjectId(project_id), model_id), []).append((alias, number))
    return found


def versions(connection: sa.Connection, models: Sequence[Key]) -> dict[Key, list[CatalogueVersion]]:
    """Fetch the versions of some models, without deleted ones."""
    promoted = (
        sa.select(sa.func.max(_PROMOTION.c.merge_request_iid))
        .where(
            _PROMOTION.c.project_id == _VERSION.c.project_id,
            _PROMOTION.c.model_id == _VERSION.c.model_id,
            _PROMOTION.c.number == _VERSION.c.number,
        )
        .correlate(_VERSION)
        .scalar_subquery()
    )
    names = ("project_id", "model_id", "number", "semver", "created_ms", "user_name", "candidate_iid")
    query = sa.select(*(_VERSION.c[name] for name in names), promoted).where(
        _among(_VERSION.c.project_id, _VERSION.c.model_id, models), _VERSION.c.deleted_ms.is_(None)
    )
    found: dict[Key, list[CatalogueVersion]] = {}
    for project_id, model_id, *rest in connection.execute(query):
        found.setdefault((ProjectId(project_id), model_id), []).append(CatalogueVersion(*rest))
    return found


def metrics(connection: sa.Connection, runs: Sequence[Key], *, limit: int) -> dict[Key, dict[str, float]]:
    """Fetch the last values of the metrics of some runs, up to `limit` in all."""
    query = (
        sa.select(_LATEST.c.project_id, _LATEST.c.candidate_iid, _KEY.c.name, _LATEST.c.value, _LATEST.c.is_nan)
        .join(_KEY, (_KEY.c.project_id == _LATEST.c.project_id) & (_KEY.c.id == _LATEST.c.key_id))
        .where(_among(_LATEST.c.project_id, _LATEST.c.candidate_iid, runs))
        .limit(limit)
    )
    found: dict[Key, dict[str, float]] = {}
    for project_id, iid, name, value, is_nan in connection.execute(query):
        found.setdefault((ProjectId(project_id), iid), {})[name] = NAN if is_nan else value
    return found


def _among(project: sa.Column[int], number: sa.Column[int], keys: Iterable[Key]) -> sa.ColumnElement[bool]:
    """Compare pairs of project and number, project by project, so that each is found by an index."""
    by_project: dict[ProjectId, list[int]] = {}
    for project_id, one in keys:
        by_project.setdefault(project_id, []).append(one)
    each = [sa.and_(project == one, number.in_(numbers)) for one, numbers in by_project.items()]
    return sa.and_(project.in_(list(by_project)), sa.or_(sa.false(), *each))
