"""The doctor's checks of the database and the file store."""

import stat
import time
from collections.abc import Iterator
from pathlib import Path

from mltrail_server.artifacts.base import FileStore
from mltrail_server.domain.errors import conflict
from mltrail_server.settings import Settings
from mltrail_server.store.admin import facts
from mltrail_server.store.db import migrate, revisions
from mltrail_server.store.db.database import Database

from . import checks, overview
from .checks import Check, Doubt, Skip

_OLDEST_POSTGRESQL = 140_000
_CLOCK_SECONDS = 5.0
_REPLICA_SECONDS = 60.0
_FREE_SHARE, _FREE_BYTES = 0.1, 100_000_000


class StorageChecks:
    def __init__(self, settings: Settings, database: Database | None, files: FileStore) -> None:
        self._settings = settings
        self._database = database
        self._files = files

    def of_database(self) -> Iterator[Check]:
        assert self._database is not None  # noqa: S101 - the caller has looked
        database = self._database
        yield "schema", lambda: _schema(database)
        if database.is_sqlite:
            yield "SQLite", lambda: _sqlite(database)
        else:
            yield "PostgreSQL", lambda: _postgresql(database)
            yield "connections", lambda: _connections(database)
            yield "database's clock", lambda: _clock(database)
        if self._settings.database_replica_url:
            yield "replica", self._replica

    def of_files(self) -> Iterator[Check]:
        yield "data folder", self._data_folder
        yield "disk", lambda: self._disk("data")
        yield "file store", self._file_store
        if self._settings.s3_place is None:
            yield "disk of the files", lambda: self._disk("artifacts")

    def _replica(self) -> str:
        replica = Database(self._settings.database_replica_url)
        try:
            with replica.read() as connection:
                lag = facts.replica_lag(connection)
        finally:
            replica.dispose()
        if lag is None:
            raise Doubt("MLTRAIL_DATABASE_REPLICA_URL is not a replica: searches would read another database")
        if lag > _REPLICA_SECONDS:
            raise Doubt(f"it is {lag:.0f} s behind, and so are searches")
        return f"it is {lag:.0f} s behind"

    def _data_folder(self) -> str:
        folder = self._settings.data_path
        if not folder.is_dir():
            raise Skip(f"{folder} does not exist yet")
        mode = stat.S_IMODE(folder.stat().st_mode)
        if mode & stat.S_IRWXO:
            raise Doubt(f"{folder} can be read by everybody on this machine: chmod 700 {folder}")
        return f"{folder} has mode {mode:03o}"

    def _disk(self, folder: str) -> str:
        found = overview.disks(self._settings).get(folder)
        if found is None:
            raise Skip("the folder does not exist yet")
        share = found.free / found.size
        line = f"{found.free / 1e9:.1f} GB are free, {share:.0%}"
        if found.free < _FREE_BYTES:
            raise conflict(f"{line}: calls that store something get 503. Free some space, or enlarge the disk")
        if share < _FREE_SHARE:
            raise Doubt(f"{line}: free some space, or enlarge the disk")
        return line

    def _file_store(self) -> str:
        place = self._settings.artifacts_path
        if self._settings.s3_place is None and not place.is_dir():
            raise Skip(f"{place} does not exist yet: the first file creates it")
        began = time.perf_counter()
        self._files.ping()
        line = f"{self._settings.artifacts or place} responds in {1000 * (time.perf_counter() - began):.1f} ms"
        hints = self._files.hints()
        if hints:
            raise Doubt(f"{line}; {'; '.join(hints)}")
        return line


def _schema(database: Database) -> str:
    found = migrate.state(database)
    if found.revision == revisions.newest():
        return f"revision {found.revision}"
    revisions.check_can_run(found)
    raise Doubt(f"revision {found.revision}, of a later version; this one, of {revisions.newest()}, can run on it")


def _sqlite(database: Database) -> str:
    path = Path(database.engine.url.database or "")
    with database.read() as connection:
        mode = facts.journal_mode(connection)
    rights = stat.S_IMODE(path.stat().st_mode)
    if mode != "wal":
        raise Doubt(
            f"{path} has no write-ahead log (its mode is {mode}): is it on a network disk? SQLite needs a local one"
        )
    if rights & stat.S_IRWXO:
        raise Doubt(f"{path} can be read by everybody on this machine: chmod 600 {path}")
    return f"{path}, {path.stat().st_size / 1e6:.1f} MB, with a write-ahead log, mode {rights:03o}"


def _postgresql(database: Database) -> str:
    with database.read() as connection:
        found = facts.of_postgresql(connection)
    line = f"{found.version}, encoding {found.encoding}, collation {found.collation}"
    if found.number < _OLDEST_POSTGRESQL:
        raise Doubt(f"{line}: mltrail supports 14 and newer; upgrade it")
    if found.encoding != "UTF8":
        raise conflict(f"{line}: names in other alphabets can't be stored. Create a new database with ENCODING 'UTF8'")
    return f"{line}, {found.partitions} partitions" if found.partitions else line


def _connections(database: Database) -> str:
    with database.read() as connection:
        found = facts.of_postgresql(connection)
    line = f"{found.connections} of {found.most_connections} are open; each process may open 26"
    if found.connections > 0.8 * found.most_connections:
        raise Doubt(f"{line}: raise max_connections in postgresql.conf, or run fewer processes")
    return line


def _clock(database: Database) -> str:
    before = time.time()
    with database.read() as connection:
        there = facts.of_postgresql(connection).clock
    return checks.clock(there - (before + time.time()) / 2, _CLOCK_SECONDS)
