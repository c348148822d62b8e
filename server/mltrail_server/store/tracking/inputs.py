"""What a candidate used and produced: datasets, and MLflow 3's logged models."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum

import sqlalchemy as sa

from mltrail_server.domain.dataset_source import readable
from mltrail_server.store import schema
from mltrail_server.store.db.transaction import Transaction

CONTEXT = "mlflow.data.context"
"""MLflow's tag that says what a dataset was used for."""

_DATASET = schema.dataset
_LINK = schema.candidate_dataset
_TAG = schema.candidate_dataset_tag
_MODEL = schema.candidate_model

_PROJECT: sa.BindParameter[int] = sa.bindparam("project_id")
_CANDIDATES: sa.BindParameter[list[int]] = sa.bindparam("candidate_iids", expanding=True)
_DATASETS = (
    sa.select(
        _LINK.c.candidate_iid,
        _DATASET.c.id,
        _DATASET.c.name,
        _DATASET.c.digest,
        _DATASET.c.source_type,
        _DATASET.c.source,
        _DATASET.c.schema,
        _DATASET.c.profile,
    )
    .join(_DATASET, (_DATASET.c.project_id == _LINK.c.project_id) & (_DATASET.c.id == _LINK.c.dataset_id))
    .where(_LINK.c.project_id == _PROJECT, _LINK.c.candidate_iid.in_(_CANDIDATES))
    .order_by(_LINK.c.candidate_iid, _DATASET.c.id)
)
_DATASET_TAGS = (
    sa.select(_TAG.c.candidate_iid, _TAG.c.dataset_id, _TAG.c.key, _TAG.c.value)
    .where(_TAG.c.project_id == _PROJECT, _TAG.c.candidate_iid.in_(_CANDIDATES))
    .order_by(_TAG.c.key)
)
_MODELS = (
    sa.select(_MODEL.c.candidate_iid, _MODEL.c.model_id, _MODEL.c.direction, _MODEL.c.step)
    .where(_MODEL.c.project_id == _PROJECT, _MODEL.c.candidate_iid.in_(_CANDIDATES))
    .order_by(_MODEL.c.candidate_iid, _MODEL.c.step, _MODEL.c.model_id)
)


@dataclass(frozen=True, slots=True)
class Dataset:
    name: str
    digest: str
    source_type: str
    source: str
    schema: str | None
    profile: str | None
    tags: tuple[tuple[str, str], ...] = ()

    @property
    def context(self) -> str:
        """What it was used for, such as `training`; "" if that was not logged."""
        return dict(self.tags).get(CONTEXT, "")

    @property
    def origin(self) -> str:
        return readable(self.source_type, self.source)


@dataclass(frozen=True, slots=True)
class DatasetSummary:
    """A dataset that candidates of an experiment have used, and for what, such as `training`."""

    experiment_iid: int
    name: str
    digest: str
    context: str | None


class Direction(IntEnum):
    INPUT = 0
    OUTPUT = 1


@dataclass(frozen=True, slots=True)
class ModelLink:
    model_id: str
    direction: Direction
    step: int


def add_datasets(tx: Transaction, candidate_iid: int, *, experiment_iid: int, datasets: Iterable[Dataset]) -> None:
    """Note which data a candidate used; the same name and digest in one experiment is the same dataset.

    What was first said about a dataset's use is kept, as in MLflow.
    """
    known = _datasets_linked(tx, candidate_iid)
    for dataset in datasets:
        number = _dataset_id(tx, experiment_iid, dataset)
        owner = {"project_id": tx.project_id, "candidate_iid": candidate_iid, "dataset_id": number}
        if number in known:
            continue
        tx.upsert(_LINK, [owner])
        tags = [owner | {"key": key, "value": value} for key, value in dict(dataset.tags).items()]
        tx.upsert(_TAG, tags)


def add_models(tx: Transaction, candidate_iid: int, links: Sequence[ModelLink]) -> dict[str, int]:
    """Note models that a candidate used or produced. Returns the stored steps of those that are noted with another
    step: the caller then refuses the call, and rolls its transaction back.
    """
    owner = {"project_id": tx.project_id, "candidate_iid": candidate_iid}
    rows = {(link.model_id, link.direction): link.step for link in links}
    values = [
        owner | {"model_id": model_id, "direction": direction, "step": step}
        for (model_id, direction), step in rows.items()
    ]
    if tx.upsert(_MODEL, values) == len(values):
        return {}
    there = models_of(tx, [candidate_iid])[candidate_iid]
    return {one.model_id: one.step for one in there if rows.get((one.model_id, one.direction), one.step) != one.step}


def datasets_of(tx: Transaction, candidate_iids: Iterable[int]) -> dict[int, list[Dataset]]:
    """Fetch the datasets of several candidates, in at most two statements."""
    given = {"project_id": tx.project_id, "candidate_iids": list(candidate_iids)}
    rows = tx.execute(_DATASETS, given).all()
    if not rows:
        return {}
    tags: dict[tuple[int, int], list[tuple[str, str]]] = {}
    for iid, dataset_id, key, value in tx.execute(_DATASET_TAGS, given):
        tags.setdefault((iid, dataset_id), []).append((key, value))
    found: dict[int, list[Dataset]] = {}
    for iid, number, name, digest, source_type, source, schema_text, profile in rows:
        dataset_tags = tuple(tags.get((iid, number), ()))
        dataset = Dataset(name, digest, source_type, source, schema_text, profile, dataset_tags)
        found.setdefault(iid, []).append(dataset)
    return found


def summaries(tx: Transaction, experiment_iids: Iterable[int], *, limit: int) -> list[DatasetSummary]:
    """Fetch which datasets the candidates of experiments have used, and in which context, each once."""
    of_tag = (
        (_TAG.c.project_id == _LINK.c.project_id)
        & (_TAG.c.candidate_iid == _LINK.c.candidate_iid)
        & (_TAG.c.dataset_id == _LINK.c.dataset_id)
        & (_TAG.c.key == CONTEXT)
    )
    of_dataset = (_LINK.c.project_id == _DATASET.c.project_id) & (_LINK.c.dataset_id == _DATASET.c.id)
    columns = (_DATASET.c.experiment_iid, _DATASET.c.name, _DATASET.c.digest, _TAG.c.value)
    query = (
        sa.select(*columns)
        .select_from(_DATASET.join(_LINK, of_dataset).outerjoin(_TAG, of_tag))
        .where(_DATASET.c.project_id == tx.project_id, _DATASET.c.experiment_iid.in_(list(experiment_iids)))
        .distinct()
        .order_by(*columns)
        .limit(limit)
    )
    return [DatasetSummary(*row) for row in tx.execute(query)]


def models_of(tx: Transaction, candidate_iids: Iterable[int]) -> dict[int, list[ModelLink]]:
    """Fetch which logged models several candidates used or produced."""
    given = {"project_id": tx.project_id, "candidate_iids": list(candidate_iids)}
    found: dict[int, list[ModelLink]] = {}
    for iid, model_id, direction, step in tx.execute(_MODELS, given):
        found.setdefault(iid, []).append(ModelLink(model_id, Direction(direction), step))
    return found


def _datasets_linked(tx: Transaction, candidate_iid: int) -> set[int]:
    query = sa.select(_LINK.c.dataset_id).where(
        _LINK.c.project_id == tx.project_id, _LINK.c.candidate_iid == candidate_iid
    )
    return set(tx.execute(query).scalars())


def _dataset_id(tx: Transaction, experiment_iid: int, dataset: Dataset) -> int:
    natural: Mapping[str, object] = {"name": dataset.name, "digest": dataset.digest, "experiment_iid": experiment_iid}
    query = sa.select(_DATASET.c.id).where(
        _DATASET.c.project_id == tx.project_id, *(_DATASET.c[name] == value for name, value in natural.items())
    )
    number: int | None = tx.execute(query).scalar()
    if number is not None:
        return number
    values = {
        "project_id": tx.project_id,
        "id": tx.next_number("dataset"),
        "source_type": dataset.source_type,
        "source": dataset.source,
        "schema": dataset.schema,
        "profile": dataset.profile,
    }
    insert = tx.insert(_DATASET).values(**values, **natural)
    tx.execute(insert.on_conflict_do_nothing())
    made: int = tx.execute(query).scalar_one()
    return made
