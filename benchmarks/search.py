"""What a page of a search costs over many candidates: `python -m benchmarks.search --help`.

Candidates are put into an empty database by bulk insert, with 20 metrics, 10 parameters and 5 tags each. Each query is
then asked as the API asks it, in-process; the time includes all that was logged to the page's candidates.
"""

# ruff: noqa: S106 - a benchmark prints, and its server has no secrets

import argparse
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event

from mltrail_server.app import create_deps
from mltrail_server.domain.candidate import Status
from mltrail_server.domain.identity import Access, Actor, TokenKind
from mltrail_server.domain.ids import ProjectId
from mltrail_server.services.context.deps import Deps, Scope
from mltrail_server.services.identity import projects
from mltrail_server.services.tracking import search
from mltrail_server.settings import Settings
from mltrail_server.store import schema

METRICS, PARAMS, TAGS = 20, 10, 5
PROJECT = 1
_CHUNK = 2000

QUERIES: dict[str, dict[str, Any]] = {
    "newest": {},
    "by metric": {"order_by": ["metrics.m1 DESC"]},
    "by metric, ties": {"order_by": ["metrics.epoch ASC"]},
    "param, metric, by metric": {
        "filter_text": "params.p1 = '3' AND metrics.m2 > 0.5",
        "order_by": ["metrics.m3 ASC"],
    },
    "rare tag": {"filter_text": "tags.pipeline = '7'"},
    "rare tag, by metric": {"filter_text": "tags.pipeline = '7'", "order_by": ["metrics.m1 DESC"]},
    "two common params": {"filter_text": "params.p1 = '3' AND params.p2 = '4'"},
    "nothing matches": {"filter_text": "params.p1 = '3' AND params.p2 LIKE 'x%'"},
    "by name": {"order_by": ["attributes.run_name ASC"]},
    "by param": {"order_by": ["params.p1 ASC"]},
}


def fill(deps: Deps, count: int) -> None:
    """Fill one experiment with `count` candidates, and a second one with a hundredth of them."""
    numbers = random.Random(11)  # noqa: S311 - the same data each time, nothing secret
    keys = [f"m{number}" for number in range(METRICS - 1)] + ["epoch"]
    with deps.db.write() as connection:
        connection.execute(
            sa.insert(schema.experiment),
            [
                {"project_id": PROJECT, "iid": iid, "name": f"e{iid}", "stage": 0, "created_ms": 1, "updated_ms": 1}
                for iid in (1, 2)
            ],
        )
        connection.execute(
            sa.insert(schema.metric_key),
            [{"project_id": PROJECT, "id": number, "name": name} for number, name in enumerate(keys, 1)],
        )
    total = count + count // 100
    for first in range(1, total + 1, _CHUNK):
        iids = range(first, min(first + _CHUNK, total + 1))
        with deps.db.write() as connection:
            for table, rows in rows_of(iids, count, numbers):
                connection.execute(sa.insert(table), rows)
    with deps.db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("ANALYZE" if not deps.db.is_sqlite else "PRAGMA wal_checkpoint")


def rows_of(iids: range, count: int, numbers: random.Random) -> Iterator[tuple[sa.Table, list[dict[str, Any]]]]:
    owner = {"project_id": PROJECT}
    yield (
        schema.candidate,
        [
            owner
            | {"iid": iid, "eid": f"{numbers.getrandbits(128):032x}", "experiment_iid": 1 if iid <= count else 2}
            | {
                "name": f"run-{numbers.randrange(10**6)}",
                "user_name": "u",
                "status": Status.FINISHED,
                "stage": 0,
                "amended": False,
            }
            | {"started_ms": 1_700_000_000_000 + iid * 10, "created_ms": 1, "ended_ms": 1_700_000_100_000 + iid}
            for iid in iids
        ],
    )
    yield (
        schema.latest_metric,
        [
            owner
            | {"candidate_iid": iid, "key_id": key, "step": 9, "timestamp_ms": 1, "is_nan": False}
            | {"value": 10.0 if key == METRICS else numbers.random()}
            for iid in iids
            for key in range(1, METRICS + 1)
        ],
    )
    yield (
        schema.param,
        [
            owner | {"candidate_iid": iid, "key": f"p{key}", "value": str(numbers.randrange(10))}
            for iid in iids
            for key in range(PARAMS)
        ],
    )
    yield (
        schema.candidate_tag,
        [
            owner
            | {"candidate_iid": iid, "key": key, "value": str(iid // 100) if key == "pipeline" else f"value of {key}"}
            for iid in iids
            for key in ("pipeline", *(f"t{number}" for number in range(TAGS - 1)))
        ],
    )


def scope_of(deps: Deps) -> Scope:
    actor = Actor(TokenKind.LOCAL, ProjectId(PROJECT), str(PROJECT), "local", Access.WRITE)
    projects.ensure(deps, actor)
    return Scope(deps, actor)


def timed(call: Callable[[], object], rounds: int) -> float:
    call()
    times = []
    for _ in range(rounds):
        begun = time.perf_counter()
        call()
        times.append(time.perf_counter() - begun)
    return statistics.median(times) * 1000


def statements(deps: Deps, call: Callable[[], object]) -> int:
    seen = 0

    def note(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        nonlocal seen
        seen += not statement.startswith("BEGIN")

    event.listen(deps.db.engine, "before_cursor_execute", note)
    call()
    event.remove(deps.db.engine, "before_cursor_execute", note)
    return seen


def measure(deps: Deps, page: int, rounds: int) -> None:
    scope = scope_of(deps)
    print(f"{'query':28} {'ms':>8} {'statements':>11}")
    for name, query in QUERIES.items():
        _tell(deps, name, lambda query=query: search.runs(scope, experiment_iids=[1], limit=page, **query), rounds)
    small = {"order_by": ["metrics.m1 DESC"]}
    _tell(deps, "small one by metric", lambda: search.runs(scope, experiment_iids=[2], limit=page, **small), rounds)
    _tell(deps, "newest of both", lambda: search.runs(scope, experiment_iids=[1, 2], limit=page), rounds)
    for name in ("newest", "by metric"):
        token = None
        for _ in range(50):
            token = search.runs(scope, experiment_iids=[1], limit=page, token=token, **QUERIES[name]).next_token
        query = QUERIES[name] | {"token": token}
        _tell(
            deps,
            f"{name}, page 51",
            lambda query=query: search.runs(scope, experiment_iids=[1], limit=page, **query),
            rounds,
        )


def _tell(deps: Deps, name: str, call: Callable[[], object], rounds: int) -> None:
    print(f"{name:28} {timed(call, rounds):8.1f} {statements(deps, call):11}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--candidates", type=int, default=100_000)
    parser.add_argument(
        "--database", metavar="URL", help="an empty database, or one that this has filled (default SQLite)"
    )
    parser.add_argument("--page", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument(
        "--keep", metavar="DIR", help="keep the SQLite database here, and use it again when it is there"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(data_dir=options.keep or folder, local_token="benchmark", secret_key="benchmark")
        if options.database:
            settings = Settings(
                data_dir=folder,
                database_url=options.database,
                secret_key="benchmark",
                gitlab_url="http://127.0.0.1:1",
                external_url="http://127.0.0.1:2",
            )
        deps = create_deps(settings)
        with deps.db.read() as connection:
            there = connection.execute(sa.select(sa.func.count()).select_from(schema.metric_key)).scalar_one() > 0
        if not there:
            scope_of(deps)
            fill(deps, options.candidates)
        measure(deps, options.page, options.rounds)
        deps.db.dispose()


if __name__ == "__main__":
    main()
