"""Small files: what one costs, that the usual way does what the general one does, and what happens at the same time."""

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import count
from typing import Any

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from mltrail_server.app import create_app
from mltrail_server.services.context.deps import Deps
from mltrail_server.settings import Settings
from mltrail_server.store import schema
from mltrail_server.store.files import files
from mltrail_server.telemetry.measured import MEASURED, Receiver
from tests.api.files.transfers import fetch, put
from tests.api.tracking.runs import by, new_run
from tests.costs import Costs
from tests.mlflow_client import FILES, Mlflow, good
from tests.processes import wait_until
from tests.s3 import Bucket
from tests.team import EXTERNAL_URL, Team

SMALL = b"x" * 4096
_FILE_CALLS = ("open", "os.rename", "os.mkdir", "os.remove", "os.link", "os.truncate", "os.listdir", "os.scandir")
_WATCHED: list[list[str]] = []


def _note(event: str, arguments: tuple[Any, ...]) -> None:
    if _WATCHED and event in _FILE_CALLS and "/data/artifacts/" in str(arguments[0]):
        _WATCHED[-1].append(event)


@contextmanager
def calls_of_the_store() -> Iterator[list[str]]:
    """Collect what is done to files in the store while the block runs, as far as Python audits it."""
    if not _WATCHED:
        sys.addaudithook(_note)  # for the rest of the process
    _WATCHED.append([])
    yield _WATCHED[-1]


@pytest.mark.every_case
@pytest.mark.parametrize(("backend", "statements", "round_trips"), [("sqlite", 3, 0), ("postgresql", 2, 1)])
def test_what_an_upload_costs(mlflow: Mlflow, root: str, costs: Costs, statements: int, round_trips: int) -> None:
    numbers = count()
    for _ in range(8):
        good(put(mlflow, f"{root}/deep/er/{next(numbers)}", SMALL))
    with costs() as cost, calls_of_the_store() as calls:
        good(put(mlflow, f"{root}/deep/er/{next(numbers)}", SMALL))
    assert (len(cost.statements), cost.round_trips) == (statements, round_trips), cost.statements
    assert set(calls) <= {"open", "os.mkdir"}, "written in place; a folder is made for every 256th"
    assert calls[-1] == "open"


@pytest.mark.every_case
@pytest.mark.parametrize(("backend", "round_trips"), [("sqlite", 0), ("postgresql", 1)])
def test_what_a_download_costs(mlflow: Mlflow, root: str, costs: Costs, round_trips: int) -> None:
    good(put(mlflow, f"{root}/deep/er/file", SMALL))
    for _ in range(8):
        fetch(mlflow, f"{root}/deep/er/file")
    with costs() as cost, calls_of_the_store() as calls:
        assert fetch(mlflow, f"{root}/deep/er/file").get_data() == SMALL
    assert (len(cost.statements), cost.round_trips) == (1, round_trips), cost.statements
    assert calls == ["open"]


class S3Calls(Receiver):
    def __init__(self) -> None:
        self.seen: list[str] = []

    def s3_call(self, operation: str, status: str, seconds: float) -> None:
        del status, seconds
        self.seen.append(operation)


class TestInS3:
    @pytest.fixture
    def settings(self, settings: Settings, bucket: Bucket) -> Settings:
        return replace(settings, artifacts=bucket.url, s3_endpoint_url=bucket.endpoint_url)

    @pytest.fixture
    def calls(self) -> Iterator[S3Calls]:
        before, MEASURED.to = MEASURED.to, S3Calls()
        yield MEASURED.to
        MEASURED.to = before

    @pytest.mark.parametrize("backend", ["sqlite"])
    def test_one_call_stores_a_file_and_one_fetches_it(self, mlflow: Mlflow, root: str, calls: S3Calls) -> None:
        good(put(mlflow, f"{root}/file", SMALL))
        assert calls.seen == ["PutObject"]
        assert fetch(mlflow, f"{root}/file").get_data() == SMALL
        assert calls.seen == ["PutObject", "GetObject"]


@dataclass
class Way:
    """A client, and what it was answered: texts in which each id has a name."""

    client: FlaskClient
    answers: list[tuple[int, str]]
    ids: dict[str, str]

    def put(self, caller: Mlflow, path: str, content: bytes = b"bytes") -> None:
        answer = put(caller, path, content)
        self.answers.append((answer.status_code, self.named(answer.get_data(as_text=True))))

    def named(self, text: str) -> str:
        for one, name in self.ids.items():
            text = text.replace(one, name)
        return text


def test_the_usual_way_does_what_the_general_one_does(gitlab_deps: Deps, team: Team) -> None:
    """A quota sends all files the general way, so one that is never reached is all that the two servers differ in."""
    limited = replace(gitlab_deps, settings=replace(gitlab_deps.settings, quota_bytes="1000000000"))
    ways = [Way(create_app(deps).test_client(), [], {}) for deps in (gitlab_deps, limited)]
    first, other = (team.gitlab.mint(team.job(ref="faster", name=name), EXTERNAL_URL) for name in ("train", "other"))
    for way in ways:
        job, stranger, person = (by(way.client, token) for token in (first, other, team.tokens["developer"]))
        of_job, of_person = new_run(job), new_run(person)
        model = job.post("logged-models", experiment_id="0", name="m", source_run_id=of_job)["model"]["info"]
        way.ids |= {of_job: "run of a job", of_person: "run of a person", model["model_id"]: "model"}
        for caller in (job, stranger, person):
            for folder in (of_job, of_person, f"models/{model['model_id']}"):
                for name in ("a", "a/b", "d/x", "d", "d/x/y", "a", "deep/e/r"):
                    way.put(caller, f"0/{folder}/artifacts/{name}", f"{name} of {caller.token}".encode()[:40])
        way.put(job, f"77/{of_job}/artifacts/a")
        way.put(job, "0/nobody/artifacts/a")
        way.put(job, f"0/{of_job}/artifacts")
        way.put(job, "promotions/1-1/artifacts/a")
        person.post("runs/delete", run_id=of_person)
        for caller in (job, person):
            way.put(caller, f"0/{of_person}/artifacts/new")
    assert ways[0].answers == ways[1].answers
    assert {status for status, _ in ways[0].answers} == {200, 400, 403, 404}
    file, blob = schema.file, schema.blob
    query = sa.select(file.c.path, blob.c.size, blob.c.sha256).join(
        blob, (blob.c.project_id == file.c.project_id) & (blob.c.id == file.c.blob_id)
    )
    with gitlab_deps.project(team.project.id).read() as tx:  # type: ignore[arg-type] # a project's number
        rows = tx.execute(query.where(file.c.project_id == tx.project_id)).all()
    found = []
    for way in ways:
        mine = [(way.named(row.path), row.size, row.sha256) for row in rows if way.named(row.path) != row.path]
        found.append(sorted(mine))
    assert found[0] == found[1] != []


@pytest.mark.parametrize("backend", ["postgresql"])
def test_a_file_and_a_folder_of_one_name_are_not_added_at_the_same_time(mlflow: Mlflow, root: str, deps: Deps) -> None:
    """While a transaction adds `a/b`, `a` waits for it and is then refused; what can't clash does not wait."""
    good(put(mlflow, f"{root}/first"))
    with ThreadPoolExecutor(1) as other:
        with deps.project(1).write() as tx:  # type: ignore[arg-type] # a project's number
            files.lock(tx, f"{root}/a/b", root)
            files.put(tx, path=f"{root}/a/b", blob_id="0" * 32, size=1, sha256=None)
            waiting = other.submit(put, mlflow, f"{root}/a")
            wait_until(lambda: _waits(deps), "the upload waits for the lock")
            for name in ("c", "b/c"):
                good(put(mlflow, f"{root}/{name}"))
        assert waiting.result(30).status_code == 400


@pytest.mark.parametrize("backend", ["postgresql"])
def test_deleting_a_file_waits_for_its_name_before_it_locks_its_bytes(mlflow: Mlflow, root: str, deps: Deps) -> None:
    """A call that replaces the file locks them in this order, too, so the two never wait for each other."""
    good(put(mlflow, f"{root}/a"))
    file, blob = schema.file, schema.blob
    with ThreadPoolExecutor(1) as other:
        with deps.db.write() as connection:
            connection.execute(sa.select(file.c.path).where(file.c.project_id == 1).with_for_update())
            deleting = other.submit(mlflow.call, "DELETE", f"{FILES}/{root}")
            wait_until(lambda: _waits(deps), "the call waits for the name")
            connection.execute(sa.update(blob).where(blob.c.project_id == 1).values(unreferenced_ms=1))
        good(deleting.result(30))
    assert fetch(mlflow, f"{root}/a").status_code == 404


def test_files_that_are_sent_at_once_are_all_stored(mlflow: Mlflow, root: str) -> None:
    names = [f"{folder}/{number}" for number in range(20) for folder in ("a", "a/b", "c")]
    with ThreadPoolExecutor(8) as many:
        for answer in many.map(lambda name: put(mlflow, f"{root}/{name}", name.encode()), names):
            good(answer)
    for name in names:
        assert fetch(mlflow, f"{root}/{name}").get_data() == name.encode()


def _waits(deps: Deps) -> bool:
    with deps.db.read() as connection:
        waiting = sa.text(
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        )
        return bool(connection.scalar(waiting))
