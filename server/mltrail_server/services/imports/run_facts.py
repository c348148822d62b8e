"""A source's record of a run, made to fit here."""

from dataclasses import dataclass

from mltrail_server.domain import gitlab_ci, limits
from mltrail_server.domain.candidate import Stage, Status
from mltrail_server.domain.origins import IMPORTED_TAG
from mltrail_server.domain.transfer import DatasetRecord, Entity, Loss, RunRecord
from mltrail_server.services.tracking.candidates import NAME_TAG
from mltrail_server.services.tracking.logged_models import HISTORY_TAG
from mltrail_server.store.tracking.inputs import Dataset, Direction

from .fit_to_limits import Fit
from .target import Target
from .written_values import fingerprint

_VERIFIED_TAG = "gitlab.verified"
_USER_TAG = "mlflow.user"
_MAX_SOURCE_TYPE = 64
_MAX_MODEL_ID = 64


@dataclass(slots=True)
class Facts:
    """Times are milliseconds since the epoch. `tags_there` is how many importable tags the source has."""

    name: str
    user_name: str
    status: Status
    stage: Stage
    started_ms: int
    ended_ms: int | None
    deleted_ms: int | None
    params: dict[str, str]
    tags: dict[str, str]
    datasets: list[Dataset]
    models: list[tuple[str, Direction, int]]
    tags_there: int
    claim: gitlab_ci.Job | None = None

    def written(self) -> list[tuple[str, str]]:
        """Return the values that people may change here."""
        plain = [("name", self.name), ("status", str(int(self.status))), ("stage", str(int(self.stage)))]
        return [*plain, *((f"tag:{key}", value) for key, value in self.tags.items())]


def fingerprint_of(record: RunRecord) -> str:
    """Return a digest of a run's record, without what depends on how it was read: where files are, and the number of
    points, which not every source knows. A run whose complete history is available differs from one with only the
    newest values.
    """
    incomplete = ["newest only"] if record.newest_only else []
    return fingerprint(
        (record.name, record.user, record.status, record.started_ms, record.ended_ms, record.deleted),
        sorted(record.params.items()),
        sorted(record.tags.items()),
        sorted(map(str, record.latest)),
        sorted((one.name, one.digest, sorted(one.tags.items())) for one in record.datasets),
        sorted((one.model_id, one.step) for one in record.model_inputs),
        sorted((one.model_id, one.step) for one in record.model_outputs),
        *incomplete,
    )


def counts_of(record: RunRecord, points: int, *, tags: int | None = None) -> dict[Entity, int]:
    """Count what the source has of a run, without files."""
    return {
        Entity.DELETED_RUN if record.deleted else Entity.RUN: 1,
        Entity.PARAM: len(record.params),
        Entity.TAG: len(record.tags) if tags is None else tags,
        Entity.POINT: points,
        Entity.DATASET: len({(one.name, one.digest) for one in record.datasets}),
    }


def fitted(target: Target, record: RunRecord, fit: Fit) -> Facts:
    """Return what is stored of a run: renamed and marked as the plan says, and made to fit."""
    tags, claim = _tags(target, record, fit)
    named = {gitlab_ci.JOB_TAG} if record.job_id is not None else set()
    tags_there = len((record.tags.keys() | named) - {_VERIFIED_TAG, IMPORTED_TAG})
    name = fit.text(Entity.RUN, "its name", record.name or tags.get(NAME_TAG, ""), limits.MAX_RUN_NAME)
    if name:
        tags[NAME_TAG] = name
    user = target.plan.user(record.user)
    started_ms = record.started_ms
    if started_ms is None:
        fit.say(Loss.NOTE, Entity.RUN, "the source does not say when it started; here its start is its end, or 1970")
        started_ms = record.ended_ms or 0
    ended_ms = record.ended_ms
    return Facts(
        name,
        fit.text(Entity.RUN, "its user's name", user, limits.MAX_USER_NAME),
        _status(record, fit),
        Stage.DELETED if record.deleted else Stage.ACTIVE,
        fit.whole(Entity.RUN, "its start", started_ms),
        None if ended_ms is None else fit.whole(Entity.RUN, "its end", ended_ms),
        record.deleted_ms,
        fit.pairs(
            Entity.PARAM,
            "parameter",
            record.params,
            most=limits.MAX_PARAM_VALUE,
            check=lambda key: limits.check_key(key, "parameter"),
        ),
        tags,
        [made for one in record.datasets if (made := _dataset(one, fit)) is not None],
        _models(record, fit),
        tags_there,
        claim,
    )


def _tags(target: Target, record: RunRecord, fit: Fit) -> tuple[dict[str, str], gitlab_ci.Job | None]:
    claim = None if target.dry_run else target.claims.find(record.tags, record.job_id)
    given = target.tags(record.tags, job_id=record.job_id)
    if _VERIFIED_TAG in record.tags:
        fit.say(Loss.NOTE, Entity.TAG, "it was verified at the source; imported runs are never verified")
    if _USER_TAG in given:
        given[_USER_TAG] = target.plan.user(given[_USER_TAG])
    models = given.pop(HISTORY_TAG, None)
    tags = fit.pairs(
        Entity.TAG, "tag", given, most=limits.MAX_TAG_VALUE, check=lambda key: limits.check_key(key, "tag")
    )
    if models is not None:
        tags[HISTORY_TAG] = fit.text(Entity.TAG, f"the tag {HISTORY_TAG!r}", models, limits.MAX_MODEL_HISTORY)
    return tags, claim


def _status(record: RunRecord, fit: Fit) -> Status:
    if record.status in Status.__members__:
        return Status[record.status]
    status = Status.FINISHED if record.ended_ms else Status.RUNNING
    fit.say(
        Loss.CHANGED,
        Entity.RUN,
        f"its status is {record.status[:40]!r}, which is unknown to MLflow; here it is {status.name}",
    )
    return status


def _dataset(record: DatasetRecord, fit: Fit) -> Dataset | None:
    what = f"the dataset {record.name[:60]!r}"
    if len(record.source_type) > _MAX_SOURCE_TYPE:
        fit.say(Loss.REFUSED, Entity.DATASET, f"{what}: its source type has more than {_MAX_SOURCE_TYPE} characters")
        return None
    tags = {
        key: value
        for key, value in record.tags.items()
        if fit.passes(Entity.DATASET, what, lambda key=key, value=value: limits.check_dataset(_NAMED, [(key, value)]))  # type: ignore[misc] # mypy infers no lambda with a default
    }
    sizes = {"name": record.name, "digest": record.digest, "source": record.source, "schema": record.schema}
    if not fit.passes(Entity.DATASET, what, lambda: limits.check_dataset(sizes | {"profile": record.profile}, ())):
        return None
    return Dataset(
        fit.text(Entity.DATASET, what, record.name),
        fit.text(Entity.DATASET, what, record.digest),
        fit.text(Entity.DATASET, what, record.source_type),
        fit.text(Entity.DATASET, what, record.source),
        fit.optional(Entity.DATASET, what, record.schema),
        fit.optional(Entity.DATASET, what, record.profile),
        tuple(
            (fit.text(Entity.DATASET, what, key), fit.text(Entity.DATASET, what, value)) for key, value in tags.items()
        ),
    )


_NAMED = {"name": "any", "digest": "any"}


def _models(record: RunRecord, fit: Fit) -> list[tuple[str, Direction, int]]:
    found = []
    for direction, links in ((Direction.INPUT, record.model_inputs), (Direction.OUTPUT, record.model_outputs)):
        for link in links:
            if len(link.model_id) > _MAX_MODEL_ID:
                fit.say(
                    Loss.REFUSED, Entity.RUN, f"its link to the logged model {link.model_id[:80]!r}: the ID is too long"
                )
            else:
                step = fit.whole(Entity.RUN, "the step of a logged model", link.step)
                found.append((fit.text(Entity.RUN, "a logged model's id", link.model_id), direction, step))
    return found
