"""Search over all that a person may see: experiments, runs, models, datasets and merge requests, by name or number."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import sqlalchemy as sa

from mltrail_server.domain import jumps
from mltrail_server.domain.ids import ProjectId
from mltrail_server.domain.jumps import Jump
from mltrail_server.services.context.deps import Deps
from mltrail_server.services.identity import memberships
from mltrail_server.store.pages import home
from mltrail_server.store.pages import search as store
from mltrail_server.store.pages.home import Activity
from mltrail_server.store.pages.search import (
    FoundDataset,
    FoundExperiment,
    FoundModel,
    FoundPipeline,
    FoundRequest,
    FoundRun,
    FoundVersion,
    Where,
    Window,
)

MOST_RUNS_OF_ONE = 20_000
"""The newest runs of the first project, or of the only one, whose names are looked through."""
MOST_RUNS_OF_OTHERS = 10_000
"""The same, of all others together."""
_MOST_OTHERS = 20
SHORTEST = 2
"""Characters of a text to search for."""


@dataclass(frozen=True, slots=True)
class Unsearched:
    """What a search for runs did not look through: `names` of runs in `others` that have more runs than that, and the
    number of projects that it left out.
    """

    first: int = 0  # how many of the first project's newest runs were looked through; 0: all
    others: int = 0  # how many of each other project's; 0: all
    left_out: int = 0


@dataclass(frozen=True, slots=True)
class Found:
    """What was found, the best first. `paths` are those of all projects."""

    paths: dict[ProjectId, str]
    jumped: bool = False
    requests: Sequence[FoundRequest] = ()
    pipelines: Sequence[FoundPipeline] = ()
    versions: Sequence[FoundVersion] = ()
    experiments: Sequence[FoundExperiment] = ()
    models: Sequence[FoundModel] = ()
    runs: Sequence[FoundRun] = ()
    datasets: Sequence[FoundDataset] = ()
    unsearched: Unsearched = field(default=Unsearched())
    request_projects: frozenset[ProjectId] = frozenset()

    @property
    def is_empty(self) -> bool:
        return not any(
            (self.requests, self.pipelines, self.versions, self.experiments, self.models, self.runs, self.datasets)
        )


def search(deps: Deps, token: str, text: str, *, project: str = "", deleted: bool = False, limit: int) -> Found:
    """Find up to `limit` of each kind, in a fixed number of statements; what is in `project` comes first.

    Raises UNAUTHENTICATED, and NOT_FOUND for a project that the bearer of the token can't see.
    """
    projects = memberships.beginning_with(deps, token, project) if project else memberships.visible(deps, token)
    found = Found(
        {one.project_id: one.path for one in projects},
        request_projects=frozenset(one.project_id for one in projects if one.is_reporter),
    )
    text = " ".join(text.split())
    if len(text) < SHORTEST or not projects:
        return found
    where = Where([one.project_id for one in projects], projects[0].project_id if project else 0, deleted)
    requests = replace(where, project_ids=sorted(found.request_projects))
    with deps.db.search() as connection:
        jumped = _jumped(connection, found, where, requests, jumps.read(text), limit=limit)
        if jumped is not None and text[0] in "!#":
            return jumped
        windows, unsearched = windows_of(home.activity(connection, where.project_ids), own=where.first)
        by_name = store.runs(connection, where, windows, text, limit=limit)
        found = jumped or found
        return replace(
            found,
            unsearched=unsearched,
            experiments=store.experiments(connection, where, text, limit=limit),
            models=store.models(connection, where, text, limit=limit),
            runs=list(dict.fromkeys([*found.runs, *by_name]))[:limit],
            requests=store.merge_requests(connection, requests, text, limit=limit),
            datasets=store.datasets(connection, where, text, limit=limit),
        )


def _jumped(
    connection: sa.Connection, found: Found, where: Where, requests: Where, jump: Jump, *, limit: int
) -> Found | None:
    """Find what a text names by number; None if it names nothing so."""
    if jump.merge_request is not None:
        seen = store.merge_requests_by_iid(connection, requests, jump.merge_request, limit=limit)
        return replace(found, requests=seen, jumped=True)
    if jump.pipeline is not None:
        runs = store.runs_by_pipeline(connection, where, jump.pipeline, limit=limit)
        pipelines = store.pipelines(connection, where, jump.pipeline)
        return replace(found, pipelines=pipelines, runs=runs, jumped=True)
    if jump.digits:
        runs = store.runs_by_id(connection, where, jump.digits, limit=limit)
        if len(runs) != 1 or len(jump.digits) < 32:  # all of a run's id: it is no commit's
            runs += store.runs_by_commit(connection, where, jump.digits, limit=limit)
        return replace(found, runs=list(dict.fromkeys(runs)), jumped=True)
    if jump.version is not None:
        versions = store.versions(connection, where, *jump.version, limit=limit)
        return replace(found, versions=versions, jumped=True)
    return None


def windows_of(active: Sequence[Activity], *, own: int = 0) -> tuple[list[Window], Unsearched]:
    """Choose the runs whose names are looked through: the newest of a person's own project, and of the others those of
    the twenty that were used last. A project that is alone counts as the own one.
    """
    with_runs = [one for one in active if one.newest_iid]
    if len(with_runs) == 1:
        own = with_runs[0].project_id
    first = [one for one in with_runs if one.project_id == own]
    others = [one for one in with_runs if one.project_id != own]
    shown = others[:_MOST_OTHERS]
    share = MOST_RUNS_OF_OTHERS // max(1, len(shown))
    cuts = [(one, MOST_RUNS_OF_ONE) for one in first] + [(one, share) for one in shown]
    windows = [Window(one.project_id, max(0, one.newest_iid - most)) for one, most in cuts]
    return windows, Unsearched(
        MOST_RUNS_OF_ONE if _any_cut(first, MOST_RUNS_OF_ONE) else 0,
        share if _any_cut(shown, share) else 0,
        len(others) - len(shown),
    )


def _any_cut(active: Sequence[Activity], most: int) -> bool:
    return any(one.newest_iid > most for one in active)
