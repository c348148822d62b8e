"""What `mltrail-server doctor` looks at on a server's own machine. It needs no project and writes nothing."""

import importlib.util
import platform
import resource
import time
from collections.abc import Iterator
from dataclasses import fields
from importlib import metadata

from mltrail_server.artifacts.base import FileStore
from mltrail_server.domain.clock import Clock
from mltrail_server.domain.errors import MltrailError, conflict
from mltrail_server.settings import Settings
from mltrail_server.store.admin import overview as store
from mltrail_server.store.db.database import Database

from .checks import Check, CheckResult, Doubt, Skip, attempt
from .doctor_gitlab import GitLabChecks
from .doctor_proxy import ProxyChecks
from .doctor_storage import StorageChecks

_FEWEST_FILES = 1024
_LAG_SECONDS, _BACKUP_HOURS = 300, 36


class Doctor:
    """`database` is None if no server has set one up, or if it can't be opened; `problem` says why."""

    def __init__(
        self,
        settings: Settings,
        database: Database | None,
        problem: MltrailError | None,
        files: FileStore,
        clock: Clock,
    ) -> None:
        self._settings = settings
        self._database = database
        self._problem = problem
        self._clock = clock
        self._storage = StorageChecks(settings, database, files)
        self._gitlab = GitLabChecks(settings, clock)
        self._proxy = ProxyChecks(settings)

    def settings(self) -> dict[str, str]:
        """Return the settings that are not the default, without secrets."""
        shown = {}
        for one in fields(self._settings):
            value = getattr(self._settings, one.name)
            if value and value != one.default:
                shown[str(one.metadata["variable"])] = "[hidden]" if one.metadata["secret"] else str(value)
        return shown

    def run(self) -> Iterator[CheckResult]:
        """Make all checks, in an order in which one failure does not hide the next."""
        for name, step in self._of_this_server():
            yield attempt(name, step)
        if not self._settings.local_mode:
            for name, step in self._gitlab.all():
                yield attempt(name, step, self._settings.gitlab_url)
            for name, step in self._proxy.all():
                yield attempt(name, step)

    def _of_this_server(self) -> Iterator[Check]:
        yield "versions", self._versions
        yield "open files", _open_files
        yield "database", self._opened
        if self._database is not None:
            yield from self._storage.of_database()
            yield "worker", self._worker
            yield "backup", self._backup
        yield from self._storage.of_files()

    def _versions(self) -> str:
        needed = {"psycopg": "postgres"} if self._settings.database.startswith("postgres") else {}
        needed |= {"boto3": "s3"} if self._settings.s3_place else {}
        needed |= {"pyrage": "backup"} if self._settings.backup_recipients or self._settings.backup_identity else {}
        missing = [extra for module, extra in needed.items() if importlib.util.find_spec(module) is None]
        if missing:
            raise conflict(f"the extra {missing[0]} is missing: install mltrail[server,{','.join(missing)}]")
        return f"mltrail {metadata.version('mltrail')}, Python {platform.python_version()}, {platform.platform()}"

    def _opened(self) -> str:
        if self._problem is not None:
            raise self._problem
        if self._database is None:
            raise conflict(
                "no server has set it up: give this command the same variables or --data-dir as mltrail-server serve, "
                "and start the server first"
            )
        began = time.perf_counter()
        self._database.ping()
        return f"responds in {1000 * (time.perf_counter() - began):.1f} ms"

    def _worker(self) -> str:
        if self._settings.local_mode:
            raise Skip("local mode needs no worker")
        now = self._clock()
        with self._known().read() as connection:
            waiting = store.waiting(connection, now=now)
        lag = max(((now - one.since_ms) / 1000 for one in waiting.values()), default=0.0)
        due = sum(one.due for one in waiting.values())
        if lag > _LAG_SECONDS:
            raise Doubt(
                f"{due} items are due, the oldest for {lag:.0f} s: no worker is running, or it does not keep up. Look "
                "at its log; a separate worker answers health checks if started with --listen"
            )
        return f"{due} items are due, the oldest for {lag:.0f} s"

    def _backup(self) -> str:
        with self._known().read() as connection:
            ended = store.last_backup(connection)
        if ended is None:
            raise Doubt("there is none yet: set up mltrail-server backup, see docs/how-to/back-up-and-restore.md")
        hours = (self._clock() - ended) / 3_600_000
        if hours > _BACKUP_HOURS:
            raise Doubt(f"the last one without damage ended {hours:.0f} hours ago: look at the log of its timer")
        return f"the last one ended {hours:.1f} hours ago"

    def _known(self) -> Database:
        assert self._database is not None  # noqa: S101 - or these checks are not made
        return self._database


def _open_files() -> str:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < _FEWEST_FILES:
        raise Doubt(f"a process may open {soft} files; raise that to {_FEWEST_FILES} or more (LimitNOFILE=, ulimit -n)")
    return f"a process may open {'any number of' if soft == resource.RLIM_INFINITY else soft} files"
