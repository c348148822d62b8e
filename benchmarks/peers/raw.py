"""The floor of any server on a database: the statements that a call needs, and nothing else, run by the driver itself.

One statement for each table on SQLite, in one transaction, and one for all of them on PostgreSQL, prepared. They run
on mltrail's own database after it was filled, for runs that mltrail never sees.
"""

# ruff: noqa: S608 - SQL of constants

import secrets
import sqlite3
import time
from collections.abc import Callable
from typing import Any

from .items import BIG, PAGE, SMALL, Bench
from .seed import STARTED

Call = Callable[[int], object]
_FIRST = 50_000_000
_RUN = "project_id, iid, eid, experiment_iid, name, user_name, status, stage, started_ms, created_ms, promoted"
_POINT = "project_id, candidate_iid, key_id, step, timestamp_ms, value, is_nan"
_PAIR = "project_id, candidate_iid, key, value"
_NEWER = (
    "ON CONFLICT (project_id, candidate_iid, key_id) DO UPDATE SET step = excluded.step, value = excluded.value, "
    "timestamp_ms = excluded.timestamp_ms, is_nan = excluded.is_nan"
)
_OF_RUNS = {
    "newest": "c.experiment_iid = {experiment} AND c.stage = 0 ORDER BY c.started_ms DESC, c.eid",
    "page 50": "c.experiment_iid = {experiment} AND c.stage = 0 AND c.started_ms < {started} "
    "ORDER BY c.started_ms DESC, c.eid",
    "by metric": "m.project_id = 1 AND m.key_id = 2 AND NOT m.is_nan AND c.experiment_iid = {experiment} "
    "AND c.stage = 0 ORDER BY m.value DESC",
    "filtered": "m.project_id = 1 AND m.key_id = 2 AND m.value > 0.5 AND p.project_id = 1 AND p.key = 'p1' "
    "AND p.value = '3' AND c.experiment_iid = {experiment} AND c.stage = 0 ORDER BY c.started_ms DESC, c.eid",
}
_JOINED = {
    "by metric": " JOIN latest_metric m ON m.candidate_iid = c.iid",
    "filtered": " JOIN latest_metric m ON m.candidate_iid = c.iid JOIN param p ON p.candidate_iid = c.iid",
}


class Raw:
    """A connection to mltrail's database beside the running server."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.folder = bench.base.folder / "raw"
        self.folder.mkdir(exist_ok=True)
        url = bench.base.database_url
        if url:
            import psycopg  # noqa: PLC0415 - for those who measure PostgreSQL

            self.server: psycopg.Connection | None = psycopg.connect(url, autocommit=True, prepare_threshold=0)
        else:
            self.server = None
            self.file = sqlite3.connect(bench.base.sqlite_file, timeout=60, isolation_level=None)
            self.file.execute("PRAGMA synchronous = NORMAL")
        self.ask("INSERT INTO counter (project_id, name, value) VALUES (1, 'floor', ?)", _FIRST)

    def close(self) -> None:
        (self.server or self.file).close()

    def ask(self, statement: str, *values: object) -> list[Any]:
        if self.server is not None:
            cursor = self.server.execute(statement.replace("?", "%s").encode(), values)
            return cursor.fetchall() if cursor.description else []
        return self.file.execute(statement, values).fetchall()

    def together(self, *statements: tuple[str, list[tuple[Any, ...]]]) -> None:
        """Run statements in one transaction on SQLite."""
        self.file.execute("BEGIN IMMEDIATE")
        for statement, rows in statements:
            self.file.executemany(statement, rows)
        self.file.execute("COMMIT")

    def call(self, name: str) -> Call | None:
        """Return what does the work of the item `name`, or None if it needs no database, or this knows no floor."""
        kind, _, of = name.partition(": ")
        if kind.startswith("search "):
            return self._search(int(kind.removeprefix("search ").replace(",", "")), of)
        made = {
            "create run": self._create,
            "log-metric": self._log_metric,
            "log-batch of 1,000 metrics": self._batch,
            "log-batch of 100 params and 100 tags": self._pairs,
            "get run": self._get,
            "metric history": self._history,
            "experiment by name": self._by_name,
            "experiment search": self._experiments,
            "upload of 256 MB": self._upload,
            "4 kB files up": self._small_up,
            "4 kB files down": self._small_down,
        }.get(name)
        return made() if made else None

    def rate(self, call: Call, seconds: float, count: int = 0) -> float:
        """Measure calls a second, of at least three calls."""
        done, begun = 0, time.perf_counter()
        while done < (count or 3) or (not count and time.perf_counter() - begun < seconds):
            call(done)
            done += 1
        return done / (time.perf_counter() - begun)

    def _create(self) -> Call:
        run = "1, {iid}, ?, 999, 'bench', 'u', 1, 0, ?, 1, {no}"
        tags = "1, {iid}, 'mlflow.user', 'u'", "1, {iid}, 'mlflow.source.name', 'train.py'"
        number = "UPDATE counter SET value = value + 1 WHERE project_id = 1 AND name = 'floor' RETURNING value"
        if self.server is not None:
            of = {"iid": "n.value", "no": "false"}
            rows = " UNION ALL ".join(f"SELECT {one.format(**of)} FROM n" for one in tags)
            whole = (
                f"WITH n AS ({number}), c AS (INSERT INTO candidate ({_RUN}) "
                f"SELECT {run.format(**of).replace('?', '?::text', 1).replace('?, 1', '?::bigint, 1')} FROM n) "
                f"INSERT INTO candidate_tag ({_PAIR}) {rows}"
            )
            return lambda n: self.ask(whole, secrets.token_hex(16), STARTED + n)
        insert = f"INSERT INTO candidate ({_RUN}) VALUES ({run.format(iid='?', no='0')})"
        pairs = f"INSERT INTO candidate_tag ({_PAIR}) VALUES (1, ?, ?, ?)"

        def create(n: int) -> None:
            self.file.execute("BEGIN IMMEDIATE")
            [(iid,)] = self.file.execute(number).fetchall()
            self.file.execute(insert, (iid, secrets.token_hex(16), STARTED + n))
            self.file.executemany(pairs, [(iid, "mlflow.user", "u"), (iid, "mlflow.source.name", "train.py")])
            self.file.execute("COMMIT")

        return create

    def _log_metric(self) -> Call:
        first = time.time_ns() // 1000
        history = f"INSERT INTO metric ({_POINT}) VALUES (1, {_FIRST}, 1, ?, ?, ?, {{no}})"
        latest = f"INSERT INTO latest_metric ({_POINT}) VALUES (1, {_FIRST}, 1, ?, ?, ?, {{no}}) {_NEWER}"
        if self.server is not None:
            both = f"WITH h AS ({history.format(no='false')}) {latest.format(no='false')}"
            return lambda n: self.ask(both, first + n, first, n * 0.1, first + n, first, n * 0.1)

        def log(n: int) -> None:
            point = [(first + n, first, n * 0.1)]
            self.together((history.format(no="0"), point), (latest.format(no="0"), point))

        return log

    def _batch(self) -> Call:
        first = time.time_ns() // 1000

        def rows(n: int) -> list[tuple[Any, ...]]:
            return [(1, _FIRST + 1, i % 10 + 1, first + n * 100 + i // 10, first, i * 0.1, False) for i in range(1000)]

        marks = ", ".join("?" * 7)
        history = f"INSERT INTO metric ({_POINT}) VALUES ({marks}) ON CONFLICT DO NOTHING"
        latest = f"INSERT INTO latest_metric ({_POINT}) VALUES ({marks}) {_NEWER}"
        if self.server is None:
            return lambda n: self.together((history, (made := rows(n))), (latest, made[-10:]))
        server = self.server

        def copy(n: int) -> None:
            made = rows(n)
            with server.transaction(), server.cursor() as cursor:
                with cursor.copy(f"COPY metric ({_POINT}) FROM STDIN".encode()) as into:
                    for row in made:
                        into.write_row(row)
                several = ", ".join([f"({marks})"] * 10)
                self.ask(
                    f"INSERT INTO latest_metric ({_POINT}) VALUES {several} {_NEWER}",
                    *(value for row in made[-10:] for value in row),
                )

        return copy

    def _pairs(self) -> Call:
        names = [f"p{i}" for i in range(100)]
        values = [f"value {i}" for i in range(100)]
        first = _FIRST + secrets.randbelow(10**9)
        if self.server is not None:
            one = f"INSERT INTO {{table}} ({_PAIR}) SELECT 1, ?, * FROM unnest(?::text[], ?::text[])"
            both = f"WITH p AS ({one.format(table='param')}) {one.format(table='candidate_tag')}"
            return lambda n: self.ask(both, first + n, names, values, first + n, names, values)
        one = f"INSERT INTO {{table}} ({_PAIR}) VALUES (1, ?, ?, ?)"

        def log(n: int) -> None:
            rows = [(first + n, name, value) for name, value in zip(names, values, strict=True)]
            self.together((one.format(table="param"), rows), (one.format(table="candidate_tag"), rows))

        return log

    def _get(self) -> Call:
        query = f"SELECT {self._contents()} FROM candidate c WHERE c.project_id = 1 AND c.eid = ?"
        return lambda _n: self.ask(query, self.bench.full)

    def _search(self, size: int, kind: str) -> Call:
        experiment = self.bench.seeded.experiments[size]
        where = _OF_RUNS[kind].format(experiment=experiment, started=STARTED + size - min(4900, size - PAGE))
        runs = f"SELECT c.* FROM candidate c{_JOINED.get(kind, '')} WHERE c.project_id = 1 AND {where} LIMIT {PAGE}"
        query = f"WITH c AS MATERIALIZED ({runs}) SELECT {self._contents()} FROM c"
        return lambda _n: self.ask(query)

    def _contents(self) -> str:
        """Write the columns of a run with all that was logged to it, as JSON that the database makes."""
        group, array = (
            ("json_agg", "json_build_array") if self.server is not None else ("json_group_array", "json_array")
        )
        parts = [
            f"(SELECT {group}({array}({columns})) FROM {table} t WHERE t.project_id = 1 AND t.candidate_iid = c.iid)"
            for table, columns in (
                ("latest_metric", "t.key_id, t.value, t.step, t.timestamp_ms"),
                ("param", "t.key, t.value"),
                ("candidate_tag", "t.key, t.value"),
            )
        ]
        return ", ".join(["c.*", *parts])

    def _history(self) -> Call:
        query = (
            "SELECT m.value, m.timestamp_ms, m.step FROM metric m JOIN candidate c ON c.project_id = m.project_id "
            "AND c.iid = m.candidate_iid WHERE c.project_id = 1 AND c.eid = ? AND m.key_id = 1 ORDER BY m.step"
        )
        return lambda _n: self.ask(query, self.bench.seeded.history_run)

    def _by_name(self) -> Call:
        return lambda _n: self.ask("SELECT * FROM experiment WHERE project_id = 1 AND name = ?", "Default")

    def _experiments(self) -> Call:
        query = "SELECT * FROM experiment WHERE project_id = 1 AND stage = 0 ORDER BY updated_ms DESC LIMIT 20"
        return lambda _n: self.ask(query)

    def _upload(self) -> Call:
        return lambda n: (self.folder / f"big-{n % 2}").write_bytes(BIG)

    def _small_up(self) -> Call:
        blob = "INSERT INTO blob (project_id, id, size, created_ms) VALUES (1, {}, {}, 1)"
        file = "INSERT INTO file (project_id, path, blob_id) VALUES (1, {}, {})"

        def upload(n: int) -> None:
            name = secrets.token_hex(16)
            (self.folder / name).write_bytes(SMALL)
            if self.server is not None:
                both = f"WITH b AS ({blob.format('?', len(SMALL))}) {file.format('?', '?')}"
                self.ask(both, name, f"floor/{name}", name)
            else:
                self.together(
                    (blob.format("?", len(SMALL)), [(name,)]), (file.format("?", "?"), [(f"floor/{name}", name)])
                )
            self.names[n % 100] = name

        self.names = [""] * 100
        return upload

    def _small_down(self) -> Call:
        upload = self._small_up()
        for n in range(100):
            upload(n)

        def download(n: int) -> bytes:
            query = (
                "SELECT f.blob_id, b.size FROM file f JOIN blob b ON b.project_id = f.project_id AND b.id = f.blob_id"
            )
            [(name, _size)] = self.ask(f"{query} WHERE f.project_id = 1 AND f.path = ?", f"floor/{self.names[n % 100]}")
            return (self.folder / name).read_bytes()

        return download
