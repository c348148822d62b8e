"""What a comparison looks at beside parameters and latest metrics: datasets, and the extremes of a metric's history."""

from collections.abc import Iterable, Sequence

import sqlalchemy as sa

from mltrail_server.domain.ids import ProjectId

from . import schema
from .files import File
from .metric_keys import find

_METRIC = schema.metric
_LINK = schema.candidate_dataset
_TAG = schema.candidate_dataset_tag
_DATASET = schema.dataset
_FILE = schema.file
_BLOB = schema.blob
_CONTEXT = "mlflow.data.context"


def datasets(
    connection: sa.Connection, project_id: ProjectId, candidate_iids: Iterable[int]
) -> dict[int, dict[str, str]]:
    """Fetch name and digest of candidates' datasets by what they were used as, such as `test`; "" is untold."""
    of_dataset = sa.and_(_DATASET.c.project_id == _LINK.c.project_id, _DATASET.c.id == _LINK.c.dataset_id)
    of_link = sa.and_(
        _TAG.c.project_id == _LINK.c.project_id,
        _TAG.c.candidate_iid == _LINK.c.candidate_iid,
        _TAG.c.dataset_id == _LINK.c.dataset_id,
        _TAG.c.key == _CONTEXT,
    )
    query = (
        sa.select(_LINK.c.candidate_iid, _TAG.c.value, _DATASET.c.name, _DATASET.c.digest)
        .select_from(_LINK.join(_DATASET, of_dataset).outerjoin(_TAG, of_link))
        .where(_LINK.c.project_id == project_id, _LINK.c.candidate_iid.in_(list(candidate_iids)))
        .order_by(_LINK.c.candidate_iid, _DATASET.c.name, _DATASET.c.digest)
    )
    found: dict[int, dict[str, str]] = {}
    for iid, context, name, digest in connection.execute(query):
        of_run = found.setdefault(iid, {})
        told = f"{name} ({digest})"
        known = of_run.get(context or "")
        of_run[context or ""] = f"{known}, {told}" if known else told
    return found


def files_at(connection: sa.Connection, project_id: ProjectId, paths: Sequence[str]) -> list[File]:
    """Fetch those of these files that are there."""
    if not paths:
        return []
    of_blob = (_BLOB.c.project_id == _FILE.c.project_id) & (_BLOB.c.id == _FILE.c.blob_id)
    query = (
        sa.select(_FILE.c.path, _FILE.c.blob_id, _BLOB.c.size, _BLOB.c.sha256)
        .join(_BLOB, of_blob)
        .where(_FILE.c.project_id == project_id, _FILE.c.path.in_(paths))
    )
    return [File(*row) for row in connection.execute(query)]


def extremes(
    connection: sa.Connection, project_id: ProjectId, candidate_iids: Iterable[int], names: set[str]
) -> dict[int, dict[str, tuple[float, float]]]:
    """Fetch the lowest and the highest value that candidates have ever logged of some metrics. Two statements."""
    iids = list(candidate_iids)
    ids = find(connection, project_id, names) if names and iids else {}
    if not ids:
        return {}
    names_of = {number: name for name, number in ids.items()}
    query = (
        sa.select(_METRIC.c.candidate_iid, _METRIC.c.key_id, sa.func.min(_METRIC.c.value), sa.func.max(_METRIC.c.value))
        .where(
            _METRIC.c.project_id == project_id,
            _METRIC.c.candidate_iid.in_(iids),
            _METRIC.c.key_id.in_(list(names_of)),
            _METRIC.c.is_nan.is_(False),
        )
        .group_by(_METRIC.c.candidate_iid, _METRIC.c.key_id)
    )
    found: dict[int, dict[str, tuple[float, float]]] = {}
    for iid, key, low, high in connection.execute(query):
        found.setdefault(iid, {})[names_of[key]] = (low, high)
    return found
