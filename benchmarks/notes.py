"""How soon notes appear, and how often GitLab is called, with no webhook configured.

    python -m benchmarks.notes [--projects 60] [--requests 5] [--hours 3] [--pushes 0.4]

A real server and its worker, the stand-in for GitLab, and a simulated clock that moves on by 150 ms with every call to
GitLab. Every open merge request is pushed to now and then; each push trains for some minutes (10 in the median), logs
every minute, ends its MLflow run, and its job ends up to 45 s later. One client in twenty dies without a word. Every
eighth push is merged, and then the default branch trains. No job asks for the report: the worker finds all by itself.
Nothing cancels the training of an older push, so that a newer one's may end first; then the note keeps showing it.
"""

import argparse
import heapq
import itertools
import random
import re
import statistics
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from flask.testing import FlaskClient
from tests.fakes.gitlab import FakeGitLab, Job, MergeRequest, Pipeline, Project, User

from mltrail_server import worker
from mltrail_server.app import create_app, create_deps
from mltrail_server.settings import Settings

START_MS = 1_790_000_000_000
CALL_MS = 150
HOUR_MS = 3_600_000
SERVER = "https://mltrail.example.com"
_NOTE = re.compile(r"/projects/(\d+)/merge_requests/(\d+)/notes")
_NUMBER = re.compile(r"/\d+")


class Calls(list[tuple[str, str]]):
    """The calls to GitLab, with the time of each; a call takes some time itself."""

    def __init__(self, clock: "Clock") -> None:
        super().__init__()
        self.clock = clock
        self.at: list[int] = []

    def append(self, call: tuple[str, str]) -> None:
        super().append(call)
        self.clock.now += CALL_MS
        self.at.append(self.clock.now)


@dataclass
class Clock:
    now: int = START_MS

    def __call__(self) -> int:
        return self.now


@dataclass
class Training:
    request: tuple[int, int]
    run_ended: int
    job_ended: int
    noted: int | None = None


@dataclass
class World:
    """Projects, merge requests, and what will happen to them, and when."""

    gitlab: FakeGitLab
    client: FlaskClient
    clock: Clock
    bot: User
    rng: random.Random
    trainings: dict[int, Training] = field(default_factory=dict)
    events: list[tuple[int, int, Callable[[], None]]] = field(default_factory=list)
    numbers: "itertools.count[int]" = field(default_factory=itertools.count)
    experiments: dict[int, str] = field(default_factory=dict)

    def at(self, when: int, event: Callable[[], None]) -> None:
        heapq.heappush(self.events, (when, next(self.numbers), event))

    def project(self, number: int, requests: int) -> tuple[Project, list[MergeRequest]]:
        project = self.gitlab.add_project(f"team/model-{number}", id=1000 + number)
        self.gitlab.add_member(project, self.bot, 30)
        base = self.gitlab.add_commit(project, f"{number:040x}", branch="main")
        opened = []
        for one in range(requests):
            sha = f"{number * 1000 + one + 1:039x}f"
            self.gitlab.add_commit(project, sha, parents=(base,), branch=f"change-{one}")
            opened.append(self.gitlab.add_merge_request(project, f"change-{one}", "main", "A change"))
        return project, opened

    def call(self, project: Project, token: str, path: str, body: dict[str, object]) -> dict[str, object]:
        answer = self.client.post(
            f"/api/v4/projects/{project.id}/ml/mlflow/api/2.0/mlflow/{path}",
            json=body,
            headers={"Authorization": f"Bearer {token}"},
        )
        if answer.status_code != 200:
            raise RuntimeError(answer.get_data(as_text=True))
        report: dict[str, object] = answer.get_json()
        return report

    def push(self, project: Project, request: MergeRequest | None) -> None:
        """Start a pipeline, and plan its course."""
        if request is None:
            pipeline = self.gitlab.add_pipeline(project, project.branches["main"], "main", "push")
        else:
            sha = project.branches[request.source_branch]
            ref = f"refs/merge-requests/{request.iid}/head"
            pipeline = self.gitlab.add_pipeline(project, sha, ref, "merge_request_event")
        job = self.gitlab.add_job(pipeline, "train", "train", self.bot, "running")
        token = self.gitlab.mint(job, SERVER)
        if project.id not in self.experiments:
            made = self.call(project, token, "experiments/create", {"name": "model"})
            self.experiments[project.id] = str(made["experiment_id"])
        run = self.call(project, token, "runs/create", {"experiment_id": self.experiments[project.id]})["run"]
        run_id = run["info"]["run_id"]  # type: ignore[index] # JSON
        minutes = min(max(self.rng.lognormvariate(2.3, 0.8), 1), 50)
        end = self.clock.now + int(minutes * 60_000)
        for when in range(self.clock.now + 60_000, end, 60_000):
            self.at(when, lambda: self.log(project, token, run_id, "loss"))
        job_end = end + self.rng.randint(2_000, 45_000)
        if self.rng.random() >= 0.05:
            self.at(end, lambda: self.end_run(project, token, run_id))
        of_request = None if request is None else (project.id, request.iid)
        self.at(job_end, lambda: self.end_job(job, pipeline, end, of_request))

    def log(self, project: Project, token: str, run_id: str, metric: str) -> None:
        value = {"key": metric, "value": self.rng.gauss(0.9, 0.01), "timestamp": self.clock.now}
        self.call(project, token, "runs/log-batch", {"run_id": run_id, "metrics": [value]})

    def end_run(self, project: Project, token: str, run_id: str) -> None:
        self.log(project, token, run_id, "accuracy")
        self.call(project, token, "runs/update", {"run_id": run_id, "status": "FINISHED"})

    def end_job(self, job: Job, pipeline: Pipeline, run_ended: int, of_request: tuple[int, int] | None) -> None:
        self.gitlab.set_job(job, "success")
        if of_request is not None:
            self.trainings[pipeline.id] = Training(of_request, run_ended, self.clock.now)

    def note(self, calls: Calls, since: int) -> None:
        """Find out which notes were written."""
        for (method, path), at in zip(calls[since:], calls.at[since:], strict=True):
            found = _NOTE.search(path)
            if method == "GET" or found is None:
                continue
            for note in self.gitlab.projects[int(found[1])].merge_requests[int(found[2])].notes:
                spoken = re.match(r"<!-- mltrail v1 pipeline=(\d+) -->", note.body)
                training = self.trainings.get(int(spoken[1])) if spoken else None
                if training is not None and training.noted is None:
                    training.noted = at


def simulate(*, projects: int, requests: int, hours: float, pushes: float, seed: int = 1) -> None:
    clock, rng = Clock(), random.Random(seed)  # noqa: S311 - no secret
    gitlab = FakeGitLab(clock=lambda: clock() / 1000)
    calls = gitlab.requests = Calls(clock)
    bot = gitlab.add_user("bot")
    with tempfile.TemporaryDirectory() as folder, gitlab:
        settings = Settings(
            data_dir=folder,
            external_url=SERVER,
            gitlab_url=gitlab.url,
            gitlab_token=gitlab.add_token(bot, ["api"]),
            secret_key="of-the-benchmark",  # noqa: S106 - nobody signs in
        )
        deps = create_deps(settings, clock=clock)
        world = World(gitlab, create_app(deps).test_client(), clock, bot, rng)
        end = START_MS + int(hours * HOUR_MS)
        for number in range(projects):
            project, opened = world.project(number, requests)
            for request, rate in [(None, pushes * requests / 8), *((one, pushes) for one in opened)]:
                when = START_MS + int(rng.expovariate(rate) * HOUR_MS)
                while when < end:
                    world.at(when, lambda project=project, request=request: world.push(project, request))  # type: ignore[misc]
                    when += int(rng.expovariate(rate) * HOUR_MS)
        while clock.now < end:
            clock.now += 1000  # the worker's pause
            while world.events and world.events[0][0] <= clock.now:
                heapq.heappop(world.events)[2]()
            before = len(calls)
            worker.run_once(deps)
            world.note(calls, before)
        deps.db.dispose()
    _tell(world, calls, hours=hours, end=end)


def _overtaken(world: World, number: int, training: Training) -> bool:
    """Return whether the note was about a newer push when this training ended: an older one never replaces it."""
    return any(
        newer > number
        and one.request == training.request
        and one.noted is not None
        and one.noted <= training.job_ended + 60_000
        for newer, one in world.trainings.items()
    )


def _tell(world: World, calls: Calls, *, hours: float, end: int) -> None:
    old_enough = {number: one for number, one in world.trainings.items() if one.job_ended < end - 40 * 60_000}
    noted = [one for one in old_enough.values() if one.noted is not None]
    overtaken = [one for number, one in old_enough.items() if one.noted is None and _overtaken(world, number, one)]
    print(
        f"{len(world.trainings)} trainings of merge requests in {hours:g} h; of {len(old_enough)} that ended early "
        f"enough {len(noted)} noted, {len(overtaken)} overtaken by a newer push, "
        f"{len(old_enough) - len(noted) - len(overtaken)} missed"
    )
    _tell_waits("job's", [(one.noted - one.job_ended) / 1000 for one in noted if one.noted is not None])
    _tell_waits("run's", [(one.noted - one.run_ended) / 1000 for one in noted if one.noted is not None])
    _tell_calls(calls, hours)


def _tell_calls(calls: Calls, hours: float) -> None:
    by_hour = Counter((at - START_MS) // HOUR_MS for at in calls.at)
    print("calls to GitLab an hour:", ", ".join(str(by_hour[hour]) for hour in range(int(hours))))
    kinds = Counter(
        f"{method} {_NUMBER.sub('/:id', re.sub(r'/[0-9a-f]{40}', '/:sha', path.removeprefix('/api/v4')))}"
        for method, path in calls
    )
    for kind, count in kinds.most_common():
        print(f"  {count / hours:7.0f} an hour  {kind}")


def _tell_waits(name: str, waits: list[float]) -> None:
    tenths = statistics.quantiles(waits, n=10)
    print(f"note after the {name} end: median {statistics.median(waits):.0f} s, nine in ten {tenths[8]:.0f} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--projects", type=int, default=60)
    parser.add_argument("--requests", type=int, default=5, help="open merge requests a project (default 5)")
    parser.add_argument("--hours", type=float, default=3, help="simulated time (default 3)")
    parser.add_argument("--pushes", type=float, default=0.4, help="a merge request and hour (default 0.4)")
    options = parser.parse_args()
    simulate(projects=options.projects, requests=options.requests, hours=options.hours, pushes=options.pushes)


if __name__ == "__main__":
    main()
