"""Runs and batches that PostgreSQL stores in one statement: what they store, and what happens while others write.

See `store/tracking/at_once.py`.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from mltrail_server.app import create_app, create_deps
from mltrail_server.domain.candidate import Status
from mltrail_server.domain.ids import ProjectId
from mltrail_server.services.context.deps import Deps
from mltrail_server.settings import Settings
from mltrail_server.store import schema
from mltrail_server.store.ci import jobs
from mltrail_server.store.ci.jobs import JobPart
from mltrail_server.store.db.project import Project
from mltrail_server.store.tracking import candidates
from tests.api.tracking.runs import by, new_run
from tests.clock import FrozenClock
from tests.costs import cost_of
from tests.databases import Databases
from tests.mlflow_client import Mlflow
from tests.processes import wait_until
from tests.team import EXTERNAL_URL, Team

BACKENDS = ("postgresql",)
RUN = schema.candidate
TABLES = ("candidate", "candidate_tag", "param", "metric", "latest_metric", "metric_key", "counter", "candidate_job")
ODD = 'a "quoted" \\ one, {with} braces, NULL, a\nline and ünïcödé'


def point(key: str = "loss", value: float | str = 0.5, step: int = 0) -> dict[str, Any]:
    return {"key": key, "value": value, "timestamp": 1, "step": step}


def pairs(**values: str) -> list[dict[str, str]]:
    return [{"key": key, "value": value} for key, value in values.items()]


@dataclass
class Way:
    """A server, and a client of it."""

    deps: Deps
    client: FlaskClient

    def rows(self) -> dict[str, list[Any]]:
        """Fetch all that was stored, with a number in place of each run's id."""
        with self.deps.db.read() as connection:
            runs = connection.execute(sa.select(RUN.c.eid, RUN.c.iid), execution_options={"all_projects": True}).all()
            ids = {row.eid: f"run {row.iid}" for row in runs}
            found: dict[str, list[Any]] = {}
            for name in (*TABLES, "job", "pipeline", "due"):
                table = schema.METADATA.tables[name]
                read = connection.execute(sa.select(table), execution_options={"all_projects": True})
                found[name] = sorted(([ids.get(value, value) for value in row] for row in read), key=repr)
        return found


@pytest.fixture
def both(
    gitlab_settings: Settings,
    sqlite_databases: Databases,
    tmp_path: Path,
    clock: FrozenClock,
) -> Iterator[list[Way]]:
    """A server on SQLite, where all calls go the general way, and one on PostgreSQL."""
    with ExitStack() as lent:
        folder = tmp_path / "general"
        url = lent.enter_context(sqlite_databases.lent(folder))
        general = replace(gitlab_settings, data_dir=str(folder), database_url=url)
        made = [create_deps(settings, clock=clock) for settings in (general, gitlab_settings)]
        for deps in made:
            lent.callback(deps.db.dispose)
        yield [Way(deps, create_app(deps).test_client()) for deps in made]


def test_the_same_is_stored_as_the_general_way_stores(both: list[Way], team: Team) -> None:
    """By a person and by a job, new and known names, whatever the values: rows and answers are the same."""
    job = team.job()
    tokens = [team.tokens["developer"], team.gitlab.mint(job, EXTERNAL_URL)]
    answers: list[list[str]] = []
    for way in both:
        said: list[Any] = []
        for token in tokens:
            mlflow = by(way.client, token)
            first = new_run(mlflow, {"stage": ODD, "gitlab.CI_JOB_NAME": "x"})
            made = mlflow.post("runs/create", experiment_id="0", run_name=ODD, start_time=5, user_id="me")["run"]
            said.append(made["data"])
            for run_id in (first, made["info"]["run_id"]):
                for step in range(2):
                    metrics = [point(step=step), point("nan", "NaN", step), point("inf", "-Infinity", step), point()]
                    params, tags = pairs(lr="0.1", odd=ODD, empty=""), pairs(note=f"{ODD}{step}", empty="")
                    mlflow.post("runs/log-batch", run_id=run_id, metrics=metrics, params=params, tags=tags)
                mlflow.post("runs/log-metric", run_id=run_id, **point(value=-1e300, step=-(2**63)))
                mlflow.post("runs/log-parameter", run_id=run_id, key="alone", value="1")
                mlflow.post("runs/set-tag", run_id=run_id, key="mlflow.runName", value="renamed")
                mlflow.post("runs/set-tag", run_id=run_id, key="note", value="new")
                said.append(mlflow.error("POST", "runs/log-parameter", run_id=run_id, key="lr", value="0.2")[2])
                said.append(mlflow.error("POST", "runs/set-tag", run_id=run_id, key="nul", value="a\0b")[1])
                ends = ({"end_time": 7}, {"status": "SCHEDULED"}, {"status": "FAILED", "end_time": 2**53})
                said += [mlflow.post("runs/update", run_id=run_id, **end) for end in ends]
            mlflow.post("runs/delete", run_id=first)
            refused = {"log-metric": point(), "set-tag": {"key": "a"}, "log-parameter": {"key": "b"}}
            for path, fields in (refused | {"update": {"status": "FINISHED"}}).items():
                said.append(mlflow.error("POST", f"runs/{path}", run_id=first, **fields)[:2])
        said.append(mlflow.error("POST", "runs/create", experiment_id="77"))
        answers.append([_without_ids(way, one) for one in said])
    assert answers[0] == answers[1]
    general, at_once = both[0].rows(), both[1].rows()
    assert at_once == general


def _without_ids(way: Way, said: Any) -> str:
    with way.deps.db.read() as connection:
        ids = connection.execute(sa.select(RUN.c.eid, RUN.c.iid), execution_options={"all_projects": True}).all()
    text = repr(said)
    for row in ids:
        text = text.replace(row.eid, f"run {row.iid}")
    return text


def test_nothing_of_a_batch_is_stored_if_a_parameter_has_another_value(mlflow: Mlflow, run_id: str) -> None:
    mlflow.post("runs/log-batch", run_id=run_id, metrics=[point()], params=pairs(lr="0.1"))
    before = mlflow.get("runs/get", run_id=run_id)
    batch = {"metrics": [point(step=1)], "params": pairs(new="1", lr="0.2"), "tags": pairs(a="b")}
    assert "already" in mlflow.error("POST", "runs/log-batch", run_id=run_id, **batch)[2]
    assert mlflow.get("runs/get", run_id=run_id) == before


PIPELINE: dict[str, Any] = {
    "id": 777,
    "sha": "0" * 40,
    "ref": "main",
    "is_tag": False,
    "source": "push",
    "resolved": False,
    "on_default_branch": False,
    "created_ms": 1,
}
CHANGES: dict[str, tuple[dict[str, object] | None, str]] = {
    "deleted": ({"stage": 1}, "INVALID_PARAMETER_VALUE"),
    "promoted": ({"promoted": True}, "INVALID_STATE"),
    "gone": (None, "RESOURCE_DOES_NOT_EXIST"),
}


def error_after(change: str, mlflow: Mlflow, run_id: str, deps: Deps, path: str, **sent: Any) -> str:
    """Change a run while a call waits for it, and return the error code that the call is answered with."""
    values, _ = CHANGES[change]
    with ThreadPoolExecutor(1) as other:
        with deps.db.write() as connection:
            changing = sa.delete(RUN) if values is None else sa.update(RUN).values(**values)
            connection.execute(changing.where(RUN.c.project_id == 1, RUN.c.eid == run_id))
            waiting = other.submit(mlflow.error, "POST", path, run_id=run_id, **sent)
            wait_until(lambda: _waits(deps), f"{path} waits for the run")
        return waiting.result(30)[1]


@pytest.mark.every_case
@pytest.mark.parametrize("change", CHANGES)
def test_a_batch_heeds_changes_made_while_it_waited_for_its_run(
    mlflow: Mlflow, run_id: str, deps: Deps, change: str
) -> None:
    mlflow.post("runs/log-metric", run_id=run_id, **point())
    code = error_after(change, mlflow, run_id, deps, "runs/log-batch", metrics=[point(step=1)])
    assert code == CHANGES[change][1]
    with deps.db.read() as connection:
        rows = connection.execute(sa.select(schema.metric.c.step).where(schema.metric.c.project_id == 1))
        assert rows.scalars().all() == [0]


@pytest.mark.every_case
@pytest.mark.parametrize("change", CHANGES)
def test_an_end_heeds_changes_made_while_it_waited_for_its_run(
    mlflow: Mlflow, run_id: str, deps: Deps, change: str
) -> None:
    code = error_after(change, mlflow, run_id, deps, "runs/update", status="FINISHED")
    assert code == CHANGES[change][1]
    with deps.db.read() as connection:
        status = sa.select(RUN.c.status).where(RUN.c.project_id == 1, RUN.c.eid == run_id)
        assert connection.execute(status).scalars().all() in ([], [Status.RUNNING])


def test_a_batch_that_waited_for_an_amendment_is_stored(mlflow: Mlflow, run_id: str, deps: Deps) -> None:
    """As by the general way, which takes the tags of a run with amendments into account."""
    mlflow.post("runs/set-tag", run_id=run_id, key="a", value="1")
    with ThreadPoolExecutor(1) as other:
        with deps.db.write() as connection:
            connection.execute(
                sa.update(RUN).where(RUN.c.project_id == 1, RUN.c.eid == run_id).values(amendment_iid=99)
            )
            own = {"project_id": 1, "candidate_iid": 1, "key": "a", "value": "1"}
            connection.execute(sa.insert(schema.own_tag).values(**own))
            waiting = other.submit(mlflow.post, "runs/set-tag", run_id=run_id, key="a", value="2")
            wait_until(lambda: _waits(deps), "the tag waits for the run")
        waiting.result(30)
    with deps.db.read() as connection:
        kept = connection.execute(sa.select(schema.own_tag.c.value).where(schema.own_tag.c.project_id == 1))
        assert kept.scalars().all() == ["2"]


def test_of_two_values_of_a_parameter_one_is_refused(mlflow: Mlflow, run_id: str, deps: Deps) -> None:
    mlflow.post("runs/log-parameter", run_id=run_id, key="other", value="1")
    with ThreadPoolExecutor(1) as other:
        with deps.db.write() as connection:
            mine = (RUN.c.project_id == 1, RUN.c.eid == run_id)
            iid = connection.scalar(sa.select(RUN.c.iid).where(*mine).with_for_update(key_share=True))
            first = {"project_id": 1, "candidate_iid": iid, "key": "lr", "value": "0.1"}
            connection.execute(sa.insert(schema.param).values(**first))
            waiting = other.submit(mlflow.error, "POST", "runs/log-parameter", run_id=run_id, key="lr", value="0.2")
            wait_until(lambda: _waits(deps), "the parameter waits for the run")
        assert "0.1" in waiting.result(30)[2]


def test_runs_that_begin_at_once_have_numbers_of_their_own(mlflow: Mlflow, run_id: str, deps: Deps) -> None:
    with ThreadPoolExecutor(8) as many:
        made = list(many.map(lambda _: mlflow.post("runs/create", experiment_id="0"), range(40)))
    assert len({one["run"]["info"]["run_id"] for one in made}) == 40
    with deps.db.read() as connection:
        iids = connection.execute(sa.select(RUN.c.iid).where(RUN.c.project_id == 1).order_by(RUN.c.iid)).scalars()
        assert list(iids) == list(range(1, 42))


class TestJobs:
    @pytest.fixture
    def of_job(self, gitlab_client: FlaskClient, team: Team) -> Mlflow:
        return by(gitlab_client, team.gitlab.mint(team.job(), EXTERNAL_URL))

    def test_a_job_that_logs_waits_once(self, of_job: Mlflow, gitlab_deps: Deps) -> None:
        run_id = new_run(of_job)
        calls: dict[str, Callable[[int], Any]] = {
            "end": lambda step: of_job.post("runs/update", run_id=run_id, status="FINISHED", end_time=step),
            "create": lambda _: new_run(of_job, {"a": "b"}),
            "log-batch": lambda step: of_job.post(
                "runs/log-batch",
                run_id=run_id,
                metrics=[point(step=step)],
                params=pairs(**{f"p{step}": "1"}),
                tags=pairs(a=str(step)),
            ),
        }
        for name, call in calls.items():
            for step in range(8):
                call(step)
            with cost_of(gitlab_deps) as cost:
                call(8)
            writing = [one for one in cost.statements if "at_once" in one]
            # When a run ends, the statement that locks it is sent together with the one that changes it.
            together = 1 if name == "end" else 0
            assert (len(writing), len(cost.statements) - cost.round_trips) == (1, together), (name, cost)

    def test_an_end_schedules_looks_at_pipelines_added_while_it_waited(
        self, of_job: Mlflow, gitlab_deps: Deps, team: Team
    ) -> None:
        run_id = new_run(of_job)
        scope = Project(gitlab_deps.db, ProjectId(team.project.id), gitlab_deps.clock)
        with ThreadPoolExecutor(1) as other:
            with scope.write() as tx:
                run = candidates.get_to_write(tx, run_id)
                assert run is not None
                tx.upsert(schema.pipeline, [{"project_id": tx.project_id, **PIPELINE}])
                jobs.ensure(tx, 5, pipeline_id=PIPELINE["id"])
                jobs.tie(tx, run.iid, job_id=5, pipeline_id=PIPELINE["id"], part=JobPart.CONTRIBUTOR, verified=False)
                waiting = other.submit(of_job.post, "runs/update", run_id=run_id, status="FINISHED", end_time=1)
                wait_until(lambda: _waits(gitlab_deps), "the end waits for the run")
            assert waiting.result(30)["run_info"]["status"] == "FINISHED"
        with gitlab_deps.db.read() as connection:
            due = sa.select(schema.due.c.key).where(schema.due.c.project_id == team.project.id)
            assert PIPELINE["id"] in connection.execute(due).scalars().all()

    def test_a_call_that_fails_does_not_put_off_the_look_at_its_pipeline(
        self, of_job: Mlflow, gitlab_deps: Deps
    ) -> None:
        assert of_job.error("POST", "runs/create", experiment_id="77")[0] == 404
        new_run(of_job)
        with gitlab_deps.db.read() as connection:
            assert connection.scalar(sa.select(sa.func.count()).select_from(schema.due)) == 1

    def test_nobody_else_writes_to_a_run_of_a_protected_branch(
        self, of_job: Mlflow, gitlab_client: FlaskClient, team: Team
    ) -> None:
        run_id = new_run(of_job)
        of_job.post("runs/log-metric", run_id=run_id, **point())
        person = by(gitlab_client, team.tokens["developer"])
        assert person.error("POST", "runs/log-metric", run_id=run_id, **point(value=9, step=9))[0] == 403
        (latest,) = of_job.get("runs/get", run_id=run_id)["run"]["data"]["metrics"]
        assert latest["value"] == 0.5


def _waits(deps: Deps) -> bool:
    """Return whether somebody waits for a lock on a row."""
    with deps.db.read() as connection:
        waiting = sa.text(
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        )
        return bool(connection.scalar(waiting))
