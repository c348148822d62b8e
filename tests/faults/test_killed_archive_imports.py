"""`kill -9` of the import of an archive, and of a move: the project is empty or complete, never half."""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mltrail_server.app import create_app, create_deps
from mltrail_server.domain.ids import ProjectId
from mltrail_server.services.admin import store_check
from mltrail_server.services.archives import importing, moves, writer
from mltrail_server.services.context.deps import Deps
from mltrail_server.services.identity.projects import NamedProject
from mltrail_server.settings import Settings
from mltrail_server.store.archives import rows
from tests.clock import FrozenClock
from tests.mlflow_client import FILES, LOCAL_TOKEN, Mlflow, good

ONE, TWO = NamedProject(ProjectId(1), "1"), NamedProject(ProjectId(2), "2")
BACKENDS = ("sqlite",)


def opened(folder: Path) -> Deps:
    return create_deps(Settings(data_dir=str(folder), local_token=LOCAL_TOKEN), clock=FrozenClock())


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """The data of a server with some runs."""
    deps = opened(tmp_path / "source")
    mlflow = Mlflow(create_app(deps).test_client())
    for number in range(3):
        run_id = mlflow.post("runs/create", experiment_id="0", run_name=f"run {number}")["run"]["info"]["run_id"]
        mlflow.post("runs/log-metric", run_id=run_id, key="loss", value=number, timestamp=1)
        good(mlflow.call("PUT", f"{FILES}/0/{run_id}/artifacts/a.txt", data=b"%d" % number))
    deps.db.dispose()
    return tmp_path / "source"


def killed_at(stage: str, folder: Path, work: Callable[[Deps, Callable[[str], None]], object]) -> bool:
    """Do the work in another process, which dies when it comes to the stage; return whether it did."""

    def die(line: str) -> None:
        if line.startswith(stage):
            os.kill(os.getpid(), signal.SIGKILL)

    child = os.fork()
    if child == 0:
        work(opened(folder), die)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


def contents(folder: Path, project: NamedProject) -> dict[str, list[Any]]:
    """All rows of a project, without its id; every file is there."""
    deps = opened(folder)
    store_check.check(deps, lambda problem: None if "orphan" in problem.kind.value else pytest.fail(problem.line()))
    with deps.db.read() as connection:
        found = {
            table.name: [row[1:] for batch in rows.read(connection, table, only=project.project_id) for row in batch]
            for table in rows.ARCHIVED
        }
    deps.db.dispose()
    return {name: of_table for name, of_table in found.items() if of_table}


def test_a_killed_import_leaves_an_empty_project_and_can_be_repeated(source: Path, tmp_path: Path) -> None:
    deps, archive, target = opened(source), tmp_path / "archive", tmp_path / "target"
    writer.export(deps, ONE.project_id, archive)
    deps.db.dispose()
    for stage in ("checking the rows: metric", "copying files", "writing the rows: metric", "writing the rows: trace"):
        assert killed_at(stage, target, lambda deps, die: importing.import_archive(deps, archive, progress=die))
        assert contents(target, ONE) == {}
    deps = opened(target)
    done = importing.import_archive(deps, archive)
    deps.db.dispose()
    assert (done.blobs, done.resumed) == (3, 3)
    after = contents(target, ONE)
    assert {name: len(after[name]) for name in ("candidate", "metric", "file")} == dict.fromkeys(
        ("candidate", "metric", "file"), 3
    )


def test_a_killed_move_changes_nothing(source: Path) -> None:
    before = contents(source, ONE)
    for stage in ("copying files", "writing the rows: candidate", "writing the rows: metric"):
        assert killed_at(stage, source, lambda deps, die: moves.move(deps, ONE, TWO, progress=die))
        assert (contents(source, ONE), contents(source, TWO)) == (before, {})
    # Killed after its transaction, only copies of files are left, which `gc --orphans` removes.
    assert killed_at("removing", source, lambda deps, die: moves.move(deps, ONE, TWO, progress=die))
    assert contents(source, TWO)["file"] == before["file"]
    assert set(contents(source, ONE)) == {"project", "experiment"}
