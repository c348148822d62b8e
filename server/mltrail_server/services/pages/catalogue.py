"""The catalogue of all models that a person may see, by group."""

from collections.abc import Sequence
from dataclasses import dataclass

from mltrail_server.domain import semver
from mltrail_server.domain.direction import worth_showing
from mltrail_server.domain.ids import ProjectId
from mltrail_server.gitlab.access_tokens import ListedProject
from mltrail_server.services.context.deps import Deps
from mltrail_server.services.identity import memberships
from mltrail_server.store.pages import catalogue as store
from mltrail_server.store.pages.catalogue import CatalogueVersion, Entry, Key

MOST = 5_000
"""Models that are sorted into groups; of more, those that were changed last."""
PAGE = 50
_MOST_VALUES = 20_000


@dataclass(frozen=True, slots=True)
class CatalogueModel:
    """A model with its latest version, and the metric of that version's run that most likely ranks models. `aliases`
    are pairs of alias and semver.
    """

    name: str
    path: str
    updated_ms: int
    latest: CatalogueVersion | None
    aliases: list[tuple[str, str]]
    metric: tuple[str, float] | None
    shows_request: bool  # whether the person may see the project's merge requests


@dataclass(frozen=True, slots=True)
class Catalogue:
    """A page of models by group: pairs of the group's path and its models. `groups` are all that the person may see."""

    shown: list[tuple[str, list[CatalogueModel]]]
    matching: int
    cut: bool  # there are more than could be sorted
    groups: list[str]
    page: int
    pages: int


def get(deps: Deps, token: str, *, name: str, group: str, alias: str, page: int) -> Catalogue:
    """Read a page of the catalogue, in a fixed number of statements. Raises UNAUTHENTICATED."""
    projects = {one.project_id: one for one in memberships.visible(deps, token)}
    groups = sorted({group_of(one.path) for one in projects.values()} - {""}, key=str.lower)
    wanted = [number for number, one in projects.items() if not group or _is_in(one.path, group)]
    with deps.db.search() as connection:
        entries = store.entries(connection, wanted, name=name, alias=alias, limit=MOST + 1)
        matching = sorted(entries[:MOST], key=lambda one: _place(projects[one.project_id].path))
        pages = max(1, -(-len(matching) // PAGE))
        page = min(max(1, page), pages)
        shown = matching[(page - 1) * PAGE : page * PAGE]
        keys = [(one.project_id, one.model_id) for one in shown]
        aliases = store.aliases(connection, keys)
        versions = store.versions(connection, keys)
        latest = {key: max(found, key=_precedence) for key, found in versions.items()}
        runs = [(key[0], one.candidate_iid) for key, one in latest.items() if one.candidate_iid is not None]
        values = store.metrics(connection, runs, limit=_MOST_VALUES)
    models = [_model(one, projects[one.project_id], aliases, versions, latest, values) for one in shown]
    return Catalogue(_by_group(models), len(matching), len(entries) > MOST, groups, page, pages)


def group_of(path: str) -> str:
    """Return the group of a project's path; "" for local mode's numbers."""
    return path.rpartition("/")[0]


def _is_in(path: str, group: str) -> bool:
    return f"{group_of(path)}/".lower().startswith(f"{group.strip('/')}/".lower())


def _place(path: str) -> tuple[str, str]:
    # Sorting is stable: within a project, the last changed stays first.
    return group_of(path).lower(), path.lower()


def _precedence(one: CatalogueVersion) -> tuple[semver.Semver, int]:
    return semver.parse(one.semver), one.number


def _model(
    entry: Entry,
    project: ListedProject,
    aliases: dict[Key, list[tuple[str, int]]],
    versions: dict[Key, list[CatalogueVersion]],
    latest: dict[Key, CatalogueVersion],
    values: dict[Key, dict[str, float]],
) -> CatalogueModel:
    key = (ProjectId(entry.project_id), entry.model_id)
    semvers = {one.number: one.semver for one in versions.get(key, ())}
    newest = latest.get(key)
    measured = values.get((key[0], newest.candidate_iid), {}) if newest and newest.candidate_iid is not None else {}
    best = worth_showing(measured, 1)
    return CatalogueModel(
        entry.name,
        project.path,
        entry.updated_ms,
        newest,
        [(alias, semvers.get(number, str(number))) for alias, number in aliases.get(key, ())],
        (best[0], measured[best[0]]) if best else None,
        project.is_reporter,
    )


def _by_group(models: Sequence[CatalogueModel]) -> list[tuple[str, list[CatalogueModel]]]:
    found: dict[str, list[CatalogueModel]] = {}
    for one in models:
        found.setdefault(group_of(one.path), []).append(one)
    return list(found.items())
