"""Fill mltrail's tables by SQL, which makes its rows from numbers: a hundred million points take minutes.

Indexes are dropped before, and made again at the end.
"""

# ruff: noqa: S608 - SQL of constants and numbers

import sqlite3
from collections.abc import Iterator
from contextlib import closing

from benchmarks.peers.bases import Base

from .sizes import Sizes

EXPERIMENT, LARGE_RUN = 2, 1
"""The experiment with all runs, and the number of the run with many names and a long history."""
METRICS, PARAMS, TAGS = 5, 5, 2
_HOLDERS, _POINT_KEYS = 1_000, 10
"""So many runs with as many metrics hold the points of a project."""
_STARTED = 1_700_000_000_000
_OTHERS = 100  # runs of each further project
_POINT = "project_id, candidate_iid, key_id, step, timestamp_ms, value, is_nan"
_LATEST = f"{_POINT}, unordered_appends"
_FILLED = ("candidate", "metric", "latest_metric", "param", "candidate_tag")


def fill(base: Base, sizes: Sizes) -> None:
    """Fill the empty tables of a server that has been started once, and is stopped now."""
    if base.database_url:
        _fill_postgresql(base.database_url, sizes)
    else:
        _fill_sqlite(base, sizes)


def large_eid() -> str:
    return f"{LARGE_RUN * 2654435761 % 4294967296:08x}{LARGE_RUN:024x}"


def _fill_sqlite(base: Base, sizes: Sizes) -> None:
    with closing(sqlite3.connect(base.sqlite_file, isolation_level=None)) as database:
        for pragma in ("journal_mode = OFF", "synchronous = OFF", "cache_size = -1000000", "temp_store = MEMORY"):
            database.execute(f"PRAGMA {pragma}")
        marks = ", ".join("?" for _ in _FILLED)
        found = (
            f"SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL AND tbl_name IN ({marks})"
        )
        indexes = database.execute(found, _FILLED).fetchall()
        database.execute("BEGIN")
        for name, _sql in indexes:
            database.execute(f"DROP INDEX {name}")
        database.execute("CREATE TEMP TABLE number (v INTEGER PRIMARY KEY)")
        database.execute(
            "INSERT INTO number "
            "WITH RECURSIVE n(v) AS (SELECT 0 UNION ALL SELECT v + 1 FROM n WHERE v < ?) SELECT v FROM n",
            (_numbers(sizes),),
        )
        hexadecimal = "printf('%08x', {v} * 2654435761 % 4294967296) || printf('%024x', {v})"
        for statement in _statements(sizes, hexadecimal):
            database.execute(statement)
        for _name, sql in indexes:
            database.execute(sql)
        database.execute("COMMIT")
        database.execute("PRAGMA analysis_limit = 1000")
        database.execute("ANALYZE")
        database.execute("PRAGMA journal_mode = WAL")


def _fill_postgresql(url: str, sizes: Sizes) -> None:
    import psycopg  # noqa: PLC0415 - for those who measure PostgreSQL

    with psycopg.connect(url) as server:
        server.execute("SET maintenance_work_mem = '1GB'; SET work_mem = '256MB'")
        # In the transaction that has emptied a table, a server whose wal_level is minimal writes no log for it.
        server.execute(f"TRUNCATE {', '.join(_FILLED)}".encode())
        keys = server.execute(
            "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint "
            "WHERE conrelid::regclass::text = ANY(%s) AND contype IN ('p', 'u', 'f') ORDER BY contype DESC",
            [list(_FILLED)],
        ).fetchall()
        for table, name, _definition in reversed(keys):
            server.execute(f"ALTER TABLE {table} DROP CONSTRAINT {name} CASCADE".encode())
        indexes = server.execute(
            "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' AND tablename = ANY(%s)",
            [list(_FILLED)],
        ).fetchall()
        for name, _definition in indexes:
            server.execute(f"DROP INDEX {name}".encode())
        server.execute(
            f"CREATE TEMP TABLE number AS SELECT generate_series(0::bigint, {_numbers(sizes)}) AS v".encode()
        )
        server.execute("CREATE INDEX ON number (v)")
        server.execute("ANALYZE number")
        hexadecimal = "lpad(to_hex({v} * 2654435761 % 4294967296), 8, '0') || lpad(to_hex({v}), 24, '0')"
        for statement in _statements(sizes, hexadecimal):
            server.execute(statement.encode())
        for _name, definition in indexes:
            server.execute(definition.encode())
        for table, name, definition in keys:
            server.execute(f"ALTER TABLE {table} ADD CONSTRAINT {name} {definition}".encode())
    with psycopg.connect(url, autocommit=True) as server:
        server.execute("VACUUM (ANALYZE)")


def _numbers(sizes: Sizes) -> int:
    return max(sizes.runs, sizes.history, sizes.experiments, sizes.points // _HOLDERS // _POINT_KEYS, 10_000)


def _statements(sizes: Sizes, hexadecimal: str) -> Iterator[str]:
    """Write what fills the tables from `number`, whose `v` is 0, 1, 2 and so on, in the order of their keys."""
    projects, names = f"BETWEEN 1 AND {sizes.projects}", max(sizes.names, _POINT_KEYS)
    yield (
        "INSERT INTO project (project_id, path, created_ms) "
        f"SELECT v, 'team/p' || v, 1 FROM number WHERE v {projects} AND v > 1"
    )
    yield (
        "INSERT INTO experiment (project_id, iid, name, stage, created_ms, updated_ms) "
        "SELECT p.v, e.v, 'experiment ' || e.v, 0, 1, e.v FROM number p CROSS JOIN number e "
        f"WHERE p.v {projects} AND e.v BETWEEN 2 AND CASE WHEN p.v = 1 THEN {sizes.experiments + 1} ELSE 2 END"
    )
    yield (
        "INSERT INTO metric_key (project_id, id, name) "
        "SELECT p.v, k.v + 1, 'm' || k.v FROM number p CROSS JOIN number k "
        f"WHERE p.v {projects} AND k.v < CASE WHEN p.v = 1 THEN {names} ELSE {_POINT_KEYS} END"
    )
    yield from _runs(1, sizes.runs, hexadecimal)
    if sizes.projects > 1:
        yield from _runs(sizes.projects, _OTHERS, hexadecimal, first=2)
    yield from _points(sizes)
    counts = {"candidate": sizes.runs + _HOLDERS, "experiment": sizes.experiments + 1, "metric_key": names}
    for name, value in counts.items():
        yield (
            f"INSERT INTO counter (project_id, name, value) SELECT v, '{name}', {value} FROM number WHERE v {projects}"
        )


def _runs(last: int, count: int, hexadecimal: str, *, first: int = 1) -> Iterator[str]:
    """Write runs of the projects from `first` to `last`, with what was logged to them. The first is the large one."""
    projects = f"p.v BETWEEN {first} AND {last}"
    of_each = (
        f"FROM number p CROSS JOIN number r CROSS JOIN number k WHERE {projects} AND r.v BETWEEN 2 AND {count} AND k.v"
    )
    yield (
        "INSERT INTO candidate (project_id, iid, eid, experiment_iid, name, user_name, status, stage, started_ms, "
        f"created_ms, promoted) SELECT p.v, r.v, {hexadecimal.format(v='r.v')}, {EXPERIMENT}, 'run ' || r.v, 'u', 3, "
        f"0, {_STARTED} + r.v, 1, p.v < 0 FROM number p CROSS JOIN number r "
        f"WHERE {projects} AND r.v BETWEEN 1 AND {count}"
    )
    yield (
        f"INSERT INTO latest_metric ({_LATEST}) SELECT p.v, r.v, k.v + 1, 1, 1, "
        f"(r.v * 7919 + k.v * 104729) % 99991 / 99991.0, p.v < 0, 0 {of_each} < {METRICS}"
    )
    yield (
        "INSERT INTO param (project_id, candidate_iid, key, value) "
        f"SELECT p.v, r.v, 'p' || k.v, (r.v * 31 + k.v * r.v % 7) % 10 || '' {of_each} < {PARAMS}"
    )
    # The first tag has a value of its own for each hundred runs.
    yield (
        "INSERT INTO candidate_tag (project_id, candidate_iid, key, value) "
        f"SELECT p.v, r.v, 't' || k.v, CASE WHEN k.v = 0 THEN r.v / 100 ELSE 1 END || '' {of_each} < {TAGS}"
    )


def _points(sizes: Sizes) -> Iterator[str]:
    yield (
        f"INSERT INTO metric ({_POINT}) SELECT 1, {LARGE_RUN}, 1, s.v, {_STARTED} + s.v, s.v * 0.37, s.v < 0 "
        f"FROM number s WHERE s.v < {sizes.history}"
    )
    yield (
        f"INSERT INTO latest_metric ({_LATEST}) SELECT 1, {LARGE_RUN}, k.v + 1, {sizes.history}, {_STARTED}, "
        f"k.v * 0.37, k.v < 0, 0 FROM number k WHERE k.v < {sizes.names}"
    )
    yield (
        f"INSERT INTO metric ({_POINT}) SELECT 1, {sizes.runs} + 1 + r.v, k.v + 1, s.v, {_STARTED} + s.v, "
        f"s.v * 0.37 + r.v, s.v < 0 FROM number r CROSS JOIN number k CROSS JOIN number s "
        f"WHERE r.v < {_HOLDERS} AND k.v < {_POINT_KEYS} AND s.v < {sizes.points // _HOLDERS // _POINT_KEYS}"
    )
