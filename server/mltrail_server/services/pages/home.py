"""What the first page shows a signed-in person: what is running, what was made, what fails and what is new, in all
projects that they may see.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from mltrail_server.domain.ids import ProjectId
from mltrail_server.gitlab.access_tokens import ListedProject
from mltrail_server.services.context.deps import Deps
from mltrail_server.services.identity import memberships
from mltrail_server.store.pages import home as store
from mltrail_server.store.pages.home import Counts, FailedModel, NewAlias, RunOfProject

MOST_COUNTED = 1000
CHAMPION_DAYS = 21
_DAY_MS = 24 * 3_600_000
_MOST_PROJECTS = 30
_MOST_RUNS = 8
MOST_OF_EXPERIMENT = 3
"""How many of an experiment's runs are listed as recent, so that a sweep's trials don't hide the other runs."""
_MOST_READ = 100
_MOST_RUNNING = 12
_MOST_GATES = 10
_MOST_CHAMPIONS = 8


@dataclass(frozen=True, slots=True)
class ShownProject:
    """`at_ms` is when its newest run was made; 0 if it has none."""

    project: ListedProject
    counts: Counts
    at_ms: int


@dataclass(frozen=True, slots=True)
class FailingGate:
    """An open merge request whose gate fails, and the models that fail, each with the rules that it breaks."""

    project_id: ProjectId
    iid: int
    title: str
    models: list[FailedModel]

    @property
    def at_ms(self) -> int:
        return max(one.at_ms for one in self.models)


@dataclass(frozen=True, slots=True)
class HomeView:
    """`projects` are those that are shown, of `matching` that the search leaves and `total` that the person may see.
    `more_running` says that there are more than are listed. `recent` leaves out those that are
    listed as running, and has at most `MOST_OF_EXPERIMENT` of each experiment.
    """

    projects: list[ShownProject]
    matching: int
    total: int
    paths: dict[ProjectId, str]
    running: list[RunOfProject]
    more_running: bool
    recent: list[RunOfProject]
    gates: list[FailingGate]
    champions: list[NewAlias]
    request_projects: frozenset[ProjectId]  # whose merge requests the person may see


def view(deps: Deps, token: str, *, find: str = "") -> HomeView:
    """Read it in a fixed number of statements. `find` is searched in the projects' paths. Raises UNAUTHENTICATED."""
    visible = memberships.visible(deps, token)
    by_id = {one.project_id: one for one in visible}
    may_see = frozenset(one.project_id for one in visible if one.is_reporter)
    since = deps.clock() - CHAMPION_DAYS * _DAY_MS
    with deps.db.slow_read() as connection:
        active = store.activity(connection, list(by_id))
        matching = [one for one in active if find.lower() in by_id[one.project_id].path.lower()]
        shown = matching[:_MOST_PROJECTS]
        counts = store.counts(connection, [one.project_id for one in shown], most=MOST_COUNTED)
        running = store.running(connection, list(by_id), limit=_MOST_RUNNING + 1)
        # The newest runs of all are among those of the projects whose newest runs are the newest.
        several = _MOST_RUNS + _MOST_RUNNING
        recent = store.newest(connection, [one.project_id for one in active[:several]], limit=_MOST_READ)
        failing = store.failing(connection, sorted(may_see), limit=10 * _MOST_GATES)
        overridden = store.overridden(connection, {(one.project_id, one.iid) for one in failing})
        moves = store.new_aliases(connection, list(by_id), since_ms=since, limit=10 * _MOST_CHAMPIONS)
    return HomeView(
        [ShownProject(by_id[one.project_id], counts[one.project_id], one.at_ms) for one in shown],
        len(matching),
        len(visible),
        {one.project_id: one.path for one in visible},
        running[:_MOST_RUNNING],
        len(running) > _MOST_RUNNING,
        _few_of_each([one for one in recent if one not in running[:_MOST_RUNNING]])[:_MOST_RUNS],
        _gates(failing, overridden)[:_MOST_GATES],
        _champions(moves)[:_MOST_CHAMPIONS],
        may_see,
    )


def _few_of_each(runs: Sequence[RunOfProject]) -> list[RunOfProject]:
    """Keep the newest runs of each experiment."""
    counts: Counter[tuple[ProjectId, int]] = Counter()
    kept = []
    for one in runs:
        counts[one.project_id, one.experiment_iid] += 1
        if counts[one.project_id, one.experiment_iid] <= MOST_OF_EXPERIMENT:
            kept.append(one)
    return kept


def _gates(
    failing: Sequence[FailedModel], overridden: dict[tuple[ProjectId, int], list[frozenset[str]]]
) -> list[FailingGate]:
    """Put the models of each merge request together, and leave out those that somebody has let pass."""
    gates: dict[tuple[ProjectId, int], FailingGate] = {}
    for one in failing:
        key = (one.project_id, one.iid)
        gates.setdefault(key, FailingGate(*key, one.title, [])).models.append(one)
    return [
        gate
        for key, gate in gates.items()
        if not any(
            accepted.issuperset(rule for model in gate.models for rule in model.rules)
            for accepted in overridden.get(key, ())
        )
    ]


def _champions(moves: Sequence[NewAlias]) -> list[NewAlias]:
    """Keep the last move of each alias."""
    last: dict[tuple[ProjectId, str, str], NewAlias] = {}
    for one in moves:
        last.setdefault((one.project_id, one.model, one.alias), one)
    return list(last.values())
