"""`kill -9` of a backup and of a restore, in the middle of the files."""

import os
import signal
import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from mltrail_server.domain.errors import MltrailError
from mltrail_server.services.backups import shelf
from mltrail_server.services.backups.restore import Place
from mltrail_server.store.db import migrate
from tests.backups.world import ONE, World, all_rows, content_of, place_at
from tests.processes import PATIENCE_SECONDS, wait_until
from tests.team_server import COMMAND

BACKENDS = ("sqlite",)
FILES = 120


@pytest.fixture
def many(world: World) -> World:
    for number in range(FILES):
        world.put(f"f{number}", f"content {number}".encode())
    return world


def kill_when(arguments: list[str], folder: Path, reached: Callable[[], bool], *, held_by: Path) -> None:
    """Start a command for the data folder, and kill it as soon as it has come so far. It does not end before, however
    late we look: it has to read a file that gives nothing.
    """
    environment = os.environ | {"MLTRAIL_DATA_DIR": str(folder)}
    content = held_by.read_bytes()
    held_by.unlink()
    os.mkfifo(held_by)
    process = subprocess.Popen([COMMAND, *arguments], env=environment)
    try:
        wait_until(reached, "it has come so far", process=process, every=0.001)
    finally:
        process.kill()
        code = process.wait(timeout=PATIENCE_SECONDS)
    assert code == -signal.SIGKILL
    held_by.unlink()
    held_by.write_bytes(content)


def count(folder: Path) -> int:
    return sum(1 for path in folder.rglob("*") if path.is_file())


@pytest.mark.e2e
def test_a_killed_backup_is_continued_and_a_killed_restore_goes_on(many: World, tmp_path: Path) -> None:
    backups, data = tmp_path / "backups", tmp_path / "new"
    command = ["backup", "--to", str(backups), "--work-dir", str(many.work_place), "--quiet"]
    first = many.deps.files.local_path(ONE, many.blob_ids["f0"])
    assert first
    kill_when(command, tmp_path / "data", lambda: count(backups / "blobs") >= FILES // 10, held_by=Path(first))
    assert shelf.complete(many.destination) == []
    assert len(list(many.work_place.iterdir())) == 1  # the killed one's copy of the database
    made = many.backup()
    assert list(many.work_place.iterdir()) == []
    assert 0 < made.manifest.new_files < FILES
    assert list(shelf.complete(many.destination)) == [made.manifest.name]
    assert not list(backups.rglob("*.part"))

    restoring = ["restore", "--from", str(backups), "--quiet"]
    saved = next(path for path in (backups / "blobs").rglob("*") if path.is_file())
    kill_when(restoring, data, lambda: count(data / "artifacts") >= FILES // 10, held_by=saved)
    place = place_at(f"sqlite:///{data / 'mltrail.db'}", data / "artifacts")
    with closing(_Disposing(place)):
        with pytest.raises(MltrailError, match="is incomplete"):
            migrate.prepare(place.database)
        later = many.backup()
        with pytest.raises(MltrailError, match="--start-over"):
            many.restore(place, later.manifest.name)
        assert many.restore(place, made.manifest.name).files == FILES
        assert all_rows(place.database) == all_rows(many.deps.db)
        assert content_of(place.files, ONE, many.blob_ids["f7"]) == b"content 7"
        migrate.prepare(place.database)


def test_a_restore_can_start_over_with_another_backup(
    world: World, empty_place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.put("old", b"old")
    first = world.backup().manifest.name
    world.forget("old")
    world.put("new", b"new")
    second = world.backup().manifest.name

    def fail(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("mltrail_server.store.archives.target.end", fail)
    with pytest.raises(KeyboardInterrupt):
        world.restore(empty_place, first)
    monkeypatch.undo()
    world.restore(empty_place, second, start_over=True)
    assert [one.blob_id for one in empty_place.files.stored(ONE)] == [world.blob_ids["new"]]


class _Disposing:
    def __init__(self, place: Place) -> None:
        self.close = place.database.dispose
