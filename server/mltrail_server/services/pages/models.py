"""What the pages of models and of their versions show."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mltrail_contract import Model as Rules
from mltrail_server.domain import alias_history, direction
from mltrail_server.domain.direction import MetricDirection, worth_showing
from mltrail_server.domain.errors import not_found
from mltrail_server.domain.filters import Clause, Entity, Order
from mltrail_server.domain.mlmodel import ModelDescription
from mltrail_server.domain.origins import Origin
from mltrail_server.services.context.deps import Scope
from mltrail_server.services.contract import directions as directions_service
from mltrail_server.services.files import model_files
from mltrail_server.services.promotion import provenance
from mltrail_server.services.registry import models
from mltrail_server.services.registry.versions import VersionRequest
from mltrail_server.store.ci import pipelines
from mltrail_server.store.ci.pipelines import Pipeline
from mltrail_server.store.db.transaction import Transaction
from mltrail_server.store.files import files as file_store
from mltrail_server.store.files.files import File, FolderEntry
from mltrail_server.store.imports import origins
from mltrail_server.store.pages import tables
from mltrail_server.store.pages.tables import CandidateJob
from mltrail_server.store.promotion import promotions
from mltrail_server.store.promotion.promotions import Promotion
from mltrail_server.store.registry import aliases as alias_store
from mltrail_server.store.registry import models as store
from mltrail_server.store.registry import search, versions
from mltrail_server.store.registry.aliases import AliasMove
from mltrail_server.store.registry.models import Model, VersionCount
from mltrail_server.store.registry.versions import Version
from mltrail_server.store.tracking import candidates, inputs, metrics, params
from mltrail_server.store.tracking.candidates import Candidate
from mltrail_server.store.tracking.inputs import Dataset

from . import consequences, merge_requests, model_descriptions, model_timeline
from .consequences import ModelEdits, VersionEdits
from .merge_requests import MergeRequestInBrief
from .model_timeline import Timeline

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
class ListedVersion:
    """A version in a model's table, with what its MLmodel file says, its merge request and its promotion."""

    version: Version
    model: ModelDescription
    merge_request_iid: int | None
    promotion: Promotion | None


@dataclass(frozen=True, slots=True)
class ShownAlias:
    """An alias: the version that it points at, its last move, and the version that a rollback goes to, if there is one.
    `moved_by` says who moves it if not everybody may; `fixed` why the caller can't.
    """

    alias: str
    number: int
    move: AliasMove | None
    back: int | None
    moved_by: str
    fixed: str


@dataclass(frozen=True, slots=True)
class ModelView:
    """A model, a page of its versions, and what has become of it meanwhile. `semvers` names every version that an alias
    points or pointed at.
    """

    model: Model
    count: int
    versions: list[ListedVersion]
    next_token: str | None
    aliases: list[ShownAlias]
    timeline: Timeline
    edits: ModelEdits
    semvers: dict[int, str]
    directions: dict[str, MetricDirection]  # of the metrics that are shown for each version
    values: dict[int, dict[str, float]]  # of each version's run, by the run's number
    ranked_by: str | None  # as the contract says

    @property
    def compared(self) -> int:
        """How many versions on this page have a run with metrics."""
        return sum(one.version.candidate_iid in self.values for one in self.versions)


@dataclass(frozen=True, slots=True)
class VersionView:
    """A version, what its run logged, how it was promoted, and the statement that vouches for it; or where it was
    imported from. `jobs` made its run, the creator first. `moves` are those of aliases to or from it. `trained` is the
    pipeline whose run was promoted.
    """

    version: Version
    run: Candidate | None
    promotion: Promotion | None
    statement: dict[str, Any] | None
    metrics: dict[str, float]
    directions: dict[str, MetricDirection]
    params: dict[str, str]
    jobs: Sequence[CandidateJob]
    trained: Pipeline | None
    model: ModelDescription
    moves: list[AliasMove]
    semvers: dict[int, str]
    edits: VersionEdits
    datasets: Sequence[Dataset]  # that its run used
    merge_request: MergeRequestInBrief | None
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
    """Return a model with a page of its versions, in a fixed number of statements. Raises NOT_FOUND."""
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
        moves = alias_store.history(tx, model.id)
        moved = {number for move in moves for number in (move.from_number, move.to_number) if number is not None}
        numbers = {*moved, *(item.number for item in matches), *(number for _, number in aliases)}
        promoted = promotions.of_versions(tx, model.id, numbers)
        before_ms = versions.created_after(tx, model.id, matches[0].number) if token and matches else None
        semvers = store.semvers(tx, model.id, numbers)
        iids = [item.candidate_iid for item in matches if item.candidate_iid is not None]
        rules = _rules(tx, name)
        shown = _ranked_first(rules, tables.metric_names(tx, iids))
        edits = consequences.of_model(tx, scope, model.id, name, consequences.known_policy(tx, scope))
        return ModelView(
            model,
            store.counts(tx, [model.id]).get(model.id, VersionCount(0, None)).versions,
            _listed_versions(tx, scope, matches, iids, promoted),
            next_token,
            [_shown_alias(alias, number, moves, edits, semvers) for alias, number in aliases],
            model_timeline.of(matches, moves, promoted, before_ms=before_ms, last_page=next_token is None),
            edits,
            semvers,
            direction.directions_of(shown, [rules] if rules else []),
            tables.metric_values(tx, iids, shown),
            rules.rank_by if rules else None,
        )


def _listed_versions(
    tx: Transaction, scope: Scope, matches: Sequence[Version], iids: Sequence[int], promoted: Mapping[int, Promotion]
) -> list[ListedVersion]:
    """Add to versions what their MLmodel files say, and by which merge request they came. Two statements."""
    made_by = {job.candidate_iid: job for job in tables.made_by(tx, iids)}
    described = model_descriptions.of_folders(tx, scope.deps, {item.location for item in matches})
    return [
        ListedVersion(
            item,
            described.get(item.location, ModelDescription()),
            _request_of(promoted.get(item.number), made_by.get(item.candidate_iid or 0)),
            promoted.get(item.number),
        )
        for item in matches
    ]


def _request_of(promotion: Promotion | None, job: CandidateJob | None) -> int | None:
    if promotion is not None and promotion.merge_request_iid is not None:
        return promotion.merge_request_iid
    return job.merge_request_iid if job is not None else None


def _rules(tx: Transaction, name: str) -> Rules | None:
    contract = directions_service.newest_contract(tx)
    return contract.models.get(name) if contract else None


def _ranked_first(rules: Rules | None, names: Sequence[str]) -> list[str]:
    """Choose the metrics to show: the one that ranks, those with rules, and then whatever most likely ranks."""
    wanted = [rules.rank_by, *(rule.metric for rule in rules.rules)] if rules else []
    ruled = [key for key in dict.fromkeys(wanted) if key in names]
    others = [key for key in worth_showing(names, _MOST_METRICS) if key not in ruled]
    return [key for key in [*ruled, *others] if key is not None][:_MOST_METRICS]


def _shown_alias(
    alias: str, number: int, moves: Sequence[AliasMove], edits: ModelEdits, semvers: Mapping[int, str]
) -> ShownAlias:
    own = [move for move in moves if move.alias == alias]
    before = alias_history.before([move.to_number for move in own[::-1]], number)
    moved_by = edits.managed_by(alias)
    fixed = f"It is moved by {moved_by}. A Maintainer can move it by hand." if moved_by and not edits.may_move else ""
    return ShownAlias(
        alias, number, own[0] if own else None, next((one for one in before if one in semvers), None), moved_by, fixed
    )


def version(scope: Scope, name: str, which: str) -> VersionView:
    """Return a version by semver or number, in a fixed number of statements. Raises NOT_FOUND."""
    with scope.project.read() as tx:
        model_id = models.id_of(tx, name)
        current = models.version_of(tx, model_id, name, which)
        promotion = promotions.of_version(tx, model_id, current.number)
        iids = [current.candidate_iid] if current.candidate_iid is not None else []
        points = metrics.latest_of(tx, iids)
        pairs = params.of(tx, iids)
        jobs = tables.made_by(tx, iids)[::-1]
        found = {point.key: point.value for of_run in points.values() for point in of_run}
        moves, moved = _moves_of(tx, model_id, current.number)
        rules = _rules(tx, name)
        order = _ranked_first(rules, list(found))
        described = model_descriptions.of_folders(tx, scope.deps, [current.location])
        return VersionView(
            current,
            candidates.get_by_iid(tx, current.candidate_iid) if current.candidate_iid is not None else None,
            promotion,
            provenance.statement_of(tx, current),
            {key: found[key] for key in [*order, *sorted(found.keys() - set(order))]},
            direction.directions_of(found, [rules] if rules else []),
            {key: value for of_run in pairs.values() for key, value in of_run},
            jobs,
            pipelines.get(tx, promotion.trained_in) if promotion is not None else None,
            described.get(current.location, ModelDescription()),
            moves[:_MOST_MOVES],
            store.semvers(tx, model_id, moved),
            consequences.of_version(tx, scope, current, consequences.known_policy(tx, scope)),
            inputs.datasets_of(tx, iids).get(current.candidate_iid or 0, []),
            merge_requests.in_brief(tx, scope, _request_of(promotion, jobs[0] if jobs else None)),
            origins.get(tx, current.origin_id),
        )


def _moves_of(tx: Transaction, model_id: int, number: int) -> tuple[list[AliasMove], set[int]]:
    """List the moves of aliases to or from a version, and the versions that these name."""
    moves = [one for one in alias_store.history(tx, model_id) if number in (one.from_number, one.to_number)]
    named = {number for one in moves for number in (one.from_number, one.to_number) if number is not None}
    return moves, named


def source_of_run(scope: Scope, candidate_iid: int) -> VersionRequest:
    """Return the request for a version of the model that a run has logged; of all its files, if it has logged none.
    Raises NOT_FOUND for an unknown run.
    """
    with scope.project.read() as tx:
        run = candidates.get_by_iid(tx, candidate_iid)
        if run is None:
            raise not_found(f"This project has no run number {candidate_iid}.")
        logged = model_files.of_candidate(tx, candidate_iid)
    if logged is None:
        return VersionRequest(source=f"runs:/{run.eid}", eid=run.eid)
    return VersionRequest(source=logged.source, eid=run.eid, logged_model_id=logged.logged_model_id or "")


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
