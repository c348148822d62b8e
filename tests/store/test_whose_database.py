"""Who may read an SQLite database, and what anyone else gets to read instead."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from mltrail_server.domain.errors import MltrailError
from mltrail_server.store.db import migrate
from mltrail_server.store.db.database import Database
from mltrail_server.store.db.sqlite import check_owner

NOBODY = 65534


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user of this machine can read, unlike pytest's."""
    folder = Path(tempfile.mkdtemp(prefix="mltrail-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def test_a_new_database_is_its_owners_alone_in_any_folder(open_folder: Path) -> None:
    database = Database(f"sqlite:///{open_folder / 'mltrail.db'}")
    migrate.create(database)
    rights = {path.name: path.stat().st_mode & 0o777 for path in open_folder.iterdir()}
    database.dispose()
    assert rights.pop("mltrail.db-turn") == 0o600
    assert rights == {"mltrail.db": 0o600, "mltrail.db-wal": 0o600, "mltrail.db-shm": 0o600}


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # since Python 3.12; the child only checks a file
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_another_user_is_told_whose_it_is(open_folder: Path) -> None:
    path = open_folder / "mltrail.db"
    path.touch(mode=0o644)
    check_owner(str(path))
    answer = open_folder / "answer"
    answer.touch()
    answer.chmod(0o666)
    if (child := os.fork()) == 0:
        try:
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
            check_owner(str(path))
        except MltrailError as error:
            answer.write_text(error.message)
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    assert answer.read_text().endswith("can't write to it: run this command as root.")
