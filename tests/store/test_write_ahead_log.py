"""When SQLite's log is moved to the database: https://www.sqlite.org/wal.html#ckpt."""

from mltrail_server.domain.ids import ProjectId
from mltrail_server.services.context.deps import Deps
from mltrail_server.store.db.project import Project

BACKENDS = ("sqlite",)
MOST_PAGES = 8_000


def pages_after(deps: Deps, writes: int) -> int:
    """Write so often, at least a page each time, and return how many pages the log then holds."""
    project = Project(deps.db, ProjectId(1), deps.clock)
    for _ in range(writes):
        project.write_together(lambda tx: tx.next_number("candidate"))
    with deps.db.read() as connection:
        _, pages, _ = connection.exec_driver_sql("PRAGMA wal_checkpoint(PASSIVE)").one()
    return int(pages)


def test_the_log_is_moved_rarely_because_the_writer_waits_and_the_same_pages_change_again(deps: Deps) -> None:
    assert 3_000 <= pages_after(deps, 3_000) <= MOST_PAGES


def test_the_log_does_not_grow_without_bounds(deps: Deps) -> None:
    assert pages_after(deps, MOST_PAGES + 1_000) < MOST_PAGES
