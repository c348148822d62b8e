"""What the pages of models and of their versions show."""

from dataclasses import dataclass
from typing import Any

from mltrail_server.domain import alias_history
from mltrail_server.domain.direction import MetricDirection, worth_showing
from mltrail_server.domain.errors import not_found
from mltrail_server.domain.filters import Clause, Entity, Order
from mltrail_server.domain.origins import Origin
from mltrail_server.services.context.deps import Scope
from mltrail_server.services.contract import directions as directions_service
from mltrail_server.services.promotion import provenance
from mltrail_server.services.registry import models
from mltrail_server.store.files import files as file_store
from mltrail_server.store.files.files import File, FolderEntry
from mltrail_server.store.imports import origins
from mltrail_server.store.pages import tables
from mltrail_server.store.promotion import promotions
from mltrail_server.store.promotion.promotions import Promotion
from mltrail_server.store.registry import aliases as alias_store
from mltrail_server.store.registry import models as store
from mltrail_server.store.registry import search, versions
from mltrail_server.store.registry.aliases import AliasMove
from mltrail_server.store.registry.models import Model, VersionCount
from mltrail_server.store.registry.versions import Version
from mltrail_server.store.tracking import metrics, params

_MOST_MOVES = 100
_MOST_METRICS = 4


@dataclass(frozen=True, slots=True)
class ListedModel:
    """A model in a list: its aliases with the semvers that they point at."""

    model: Model
    aliases: list[tuple[str, str]]
    count: VersionCount


@dataclass(frozen=True, slots=True)
class ModelList:
    items: list[ListedModel]
    next_token: str | None


@dataclass(frozen=True, slots=True)
class ModelView:
    """A model, a page of its versions, and the moves of its aliases, newest first. `managed` are the aliases that
    promotions move: to move them by hand takes Maintainer rights. `semvers` names every version that an alias points or
    pointed at.
    """

    model: Model
    versions: list[Version]
    next_token: str | None
    aliases: list[tuple[str, int]]
    moves: list[AliasMove]
    managed: set[str]
    semvers: dict[int, str]
    directions: dict[str, MetricDirection]  # of the metrics that are shown for each version
    values: dict[int, dict[str, float]]  # of each version's run, by the run's number

    def back(self, alias: str) -> int | None:
        """Return the version that a rollback of an alias goes to; None if there is none."""
        moves = [move.to_number for move in self.moves[::-1] if move.alias == alias]
        return next(iter(alias_history.before(moves, dict(self.aliases).get(alias))), None)


@dataclass(frozen=True, slots=True)
class VersionView:
    """A version, what its run logged, how it was promoted, and the statement that vouches for it; or where it was
    imported from.
    """

    version: Version
    promotion: Promotion | None
    statement: dict[str, Any] | None
    metrics: dict[str, float]
    params: dict[str, str]
    origin: Origin | None = None


def listed(scope: Scope, *, text: str = "", limit: int, token: str | None = None) -> ModelList:
    """List models whose name contains a text, the last changed first, in a fixed number of statements."""
    clauses = [Clause(Entity.ATTRIBUTE, "name", "ILIKE", f"%{text}%")] if text else []
    orders = [Order(Entity.ATTRIBUTE, "last_updated_timestamp", descending=True)]
    with scope.project.read() as tx:
        matches, next_token = search.search_models(tx, clauses=clauses, orders=orders, limit=limit, token=token)
        ids = [model.id for model in matches]
        counts = store.counts(tx, ids)
        aliases = alias_store.of_models(tx, ids)
    items = [
        ListedModel(
            model,
            [(alias, str(number)) for alias, number in aliases.get(model.id, [])],
            counts.get(model.id, VersionCount(0, None)),
        )
        for model in matches
    ]
    return ModelList(items, next_token)


def name_of(scope: Scope, text: str) -> str:
    """Return the name of a model that a URL gives by name, or by number as GitLab's URLs do. Raises NOT_FOUND."""
    with scope.project.read() as tx:
        if store.id_of(tx, text) is not None:
            return text
        by_number = text.isascii() and text.isdecimal() and len(text) < 18
        name = store.name_by_id(tx, int(text)) if by_number else None
    if name is None:
        raise not_found(f"This project has no model '{text}'.")
    return name


def get(scope: Scope, name: str, *, limit: int, token: str | None = None) -> ModelView:
    """Return a model with a page of its versions. Raises NOT_FOUND."""
    with scope.project.read() as tx:
        model = store.get(tx, name)
        if model is None:
            raise not_found(f"This project has no model '{name}'.")
        matches, next_token = search.search_versions(
            tx,
            clauses=[Clause(Entity.ATTRIBUTE, "name", "=", name)],
            orders=[Order(Entity.ATTRIBUTE, "version_number", descending=True)],
            limit=limit,
            token=token,
        )
        aliases = alias_store.of_models(tx, [model.id]).get(model.id, [])
        moves = alias_store.history(tx, model.id)[:_MOST_MOVES]
        managed = promotions.managed_aliases(tx, model.id)
        in_aliases = {number for _, number in aliases} | {move.to_number for move in moves if move.to_number}
        in_aliases |= {move.from_number for move in moves if move.from_number}
        semvers = store.semvers(tx, model.id, in_aliases)
        iids = [item.candidate_iid for item in matches if item.candidate_iid is not None]
        shown = worth_showing(tables.metric_names(tx, iids), _MOST_METRICS)
        directions = directions_service.of_versions(tx, shown, name)
        values = tables.metric_values(tx, iids, shown)
    return ModelView(model, matches, next_token, aliases, moves, managed, semvers, directions, values)


def version(scope: Scope, name: str, which: str) -> VersionView:
    """Return a version by semver or number. Raises NOT_FOUND."""
    with scope.project.read() as tx:
        model_id = models.id_of(tx, name)
        current = models.version_of(tx, model_id, name, which)
        promotion = promotions.of_version(tx, model_id, current.number)
        statement = provenance.statement_of(tx, current)
        iids = [current.candidate_iid] if current.candidate_iid is not None else []
        points = metrics.latest_of(tx, iids)
        pairs = params.of(tx, iids)
        origin = origins.get(tx, current.origin_id)
    return VersionView(
        current,
        promotion,
        statement,
        {point.key: point.value for of_run in points.values() for point in of_run},
        {key: value for of_run in pairs.values() for key, value in of_run},
        origin,
    )


def semver_of_id(scope: Scope, name: str, version_id: str) -> str:
    """Return the semver of a version by the id in GitLab's URLs. Raises NOT_FOUND."""
    number = int(version_id) if version_id.isascii() and version_id.isdecimal() and len(version_id) < 18 else 0
    with scope.project.read() as tx:
        current = versions.get_by_id(tx, number)
    if current is None or current.model_name != name:
        raise not_found(f"The model {name} has no version with the id '{version_id}'.")
    return current.semver


def entries(scope: Scope, version: Version, folder: str) -> list[FolderEntry]:
    """List a folder of a version's files."""
    if not version.location:
        return []
    with scope.project.read() as tx:
        path = f"{version.location}/{folder}" if folder else version.location
        return file_store.folder_entries(tx, path)


def file(scope: Scope, version: Version, path: str) -> File:
    """Return a file of a version. Raises NOT_FOUND."""
    with scope.project.read() as tx:
        entry = file_store.get(tx, f"{version.location}/{path}") if version.location else None
    if entry is None:
        raise not_found(f"{version.model_name} {version.semver} has no file '{path}'.")
    return entry
