"""What the pages of an experiment cost over many runs: `python -m benchmarks.pages --help`.

The data are those of `benchmarks.search`, each run tied to a job as in a pipeline. A signed-in browser's request is
then made in-process, so the time is all that the server does: session, rights, queries, template.
"""

# ruff: noqa: S106 - a benchmark prints, and its server has no secrets

import argparse
import gzip
import os
import re
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from urllib.parse import urlencode

import sqlalchemy as sa
from flask.testing import FlaskClient
from tests.fakes.gitlab import FakeGitLab

from benchmarks.search import PROJECT, fill, scope_of
from benchmarks.search import statements as count_statements
from mltrail_server.app import create_app, create_deps
from mltrail_server.domain.trials import PARENT_TAG
from mltrail_server.services.context.deps import Deps
from mltrail_server.settings import Settings
from mltrail_server.store import schema

_PATH = "team/churn"
_RUNS_A_JOB = 10
_CHUNK = 5000
_CONTRACT = """
version: 1
models: {e1: {runs: {experiment: e1}, rules: [{metric: "m*", better: higher, at_least: 0}]}}
"""

PAGES: dict[str, dict[str, str]] = {
    "newest": {},
    "by metric, highest first": {"order": "metrics.m1 DESC"},
    "by metric, lowest first": {"order": "metrics.m1 ASC"},
    "filtered, by metric": {"filter": "params.p1 = '3' AND metrics.m2 > 0.5", "order": "metrics.m3 ASC"},
    "rare filter": {"filter": "tags.pipeline = '7'", "order": "metrics.m1 DESC"},
    "a common word": {"filter": "run"},
    "a rare word": {"filter": "run-12345"},
    "a word that nothing has": {"filter": "nowhere"},
    "two words": {"filter": "train run-9"},
    "since a date": {"filter": "start_time > '2023-11-14'"},
    "since a date, by metric": {"filter": "start_time > '2023-11-14'", "order": "metrics.m1 DESC"},
    "flat": {"flat": "1"},
    "groups by parameter": {"group": "params.p1", "order": "metrics.m1 DESC"},
    "groups by pipeline": {"group": "pipeline"},
    "groups of repeats": {"group": "repeats"},
    "groups that match words": {"group": "params.p1", "filter": "train"},
}
"""Of the table. Without a filter or an order, children are folded under their parents: 99 under each hundredth run."""
SWEEPS: dict[str, dict[str, str]] = {
    "sweep": {},
    "sweep, filtered": {"filter": "metrics.m2 > 0.5"},
    "sweep, brushed": {"low:metrics.m3": "0.2", "high:metrics.m3": "0.8", "is:params.p1": "3"},
}
_CHILDREN = 100
_COMPARED = 100


def addresses() -> dict[str, str]:
    """Return the addresses of the pages without the project's path, by their names in the table of results."""
    compared = ",".join(map(str, range(1, _COMPARED + 1)))
    return (
        {label: f"experiments/1?{urlencode(query)}" for label, query in PAGES.items()}
        | {label: f"experiments/1/sweep?{urlencode(query)}" for label, query in SWEEPS.items()}
        | {f"{_COMPARED} runs compared": f"compare?run={compared}"}
    )


def tie(deps: Deps, count: int) -> None:
    """Link each run to a job of a pipeline. A contract file says which way the metrics are better."""
    with deps.db.write() as connection:
        jobs = range(1, count // _RUNS_A_JOB + 1)
        owner = {"project_id": PROJECT}
        for start in range(0, len(jobs), _CHUNK):
            part = jobs[start : start + _CHUNK]
            connection.execute(
                sa.insert(schema.pipeline),
                [
                    owner | {"id": job, "sha": f"{job:040x}", "ref": "main", "source": "push", "created_ms": 1}
                    for job in part
                ],
            )
            connection.execute(
                sa.insert(schema.job),
                [owner | {"id": job, "pipeline_id": job, "name": "train", "status": "success"} for job in part],
            )
        for start in range(1, count + 1, _CHUNK):
            rows = [
                owner
                | {"candidate_iid": iid, "job_id": 1 + (iid - 1) // _RUNS_A_JOB, "part": 0, "verified": True}
                | {"pipeline_id": 1 + (iid - 1) // _RUNS_A_JOB}
                for iid in range(start, min(start + _CHUNK, count + 1))
            ]
            connection.execute(sa.insert(schema.candidate_job), rows)
        newest = sa.and_(schema.pipeline.c.project_id == PROJECT, schema.pipeline.c.id == jobs[-1])
        connection.execute(sa.update(schema.pipeline).where(newest).values(contract=_CONTRACT, contract_ms=1))


def nest(deps: Deps, count: int) -> None:
    """Make each hundredth run the parent of those that follow."""
    run, tag = schema.candidate, schema.candidate_tag
    with deps.db.write() as connection:
        first = sa.select(run.c.iid, run.c.eid).where(run.c.project_id == PROJECT, run.c.iid % _CHILDREN == 1)
        parents = {iid: eid for iid, eid in connection.execute(first)}  # noqa: C416 - a row is no pair to mypy
        rows = [
            {
                "project_id": PROJECT,
                "candidate_iid": iid,
                "key": PARENT_TAG,
                "value": parents[iid - (iid - 1) % _CHILDREN],
            }
            for iid in range(1, count + 1)
            if (iid - 1) % _CHILDREN
        ]
        for start in range(0, len(rows), _CHUNK):
            connection.execute(sa.insert(tag), rows[start : start + _CHUNK])
        if not deps.db.is_sqlite:
            connection.exec_driver_sql("ANALYZE")  # PostgreSQL does it by itself, but only after a while


def sign_in(client: FlaskClient, token_of_user: str) -> None:
    form = client.get("/-/sign-in").get_data(as_text=True)
    token = re.search(r'name="csrf_token" value="([^"]+)"', form)
    if token is None:
        raise RuntimeError("The sign-in has no form token.")
    client.post("/-/sign-in", data={"token": token_of_user, "next": "/", "csrf_token": token[1]})


def fetched(client: FlaskClient, url: str) -> bytes:
    """Fetch a page as browsers do: compressed."""
    answer = client.get(url, headers={"Accept-Encoding": "gzip"})
    if answer.status_code != 200:
        raise RuntimeError(f"{answer.status} for {url}")
    return answer.get_data()


def measured(call: Callable[[], object], rounds: int) -> tuple[float, float, float]:
    """Return median and 95th percentile of elapsed time, and the median of this process's own time, in milliseconds."""
    call()
    times, own = [], []
    for _ in range(rounds):
        begun, worked = time.perf_counter(), time.process_time()
        call()
        times.append((time.perf_counter() - begun) * 1000)
        own.append((time.process_time() - worked) * 1000)
    times.sort()
    return statistics.median(times), times[int(len(times) * 0.95)], statistics.median(own)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--candidates", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--database", default="", help="URL of an empty PostgreSQL database; default is SQLite")
    parser.add_argument("--only", default="", metavar="TEXT", help="only pages whose names contain TEXT")
    parser.add_argument("--keep", default="", help="folder whose data are made once and used again")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch, FakeGitLab() as gitlab:
        user = gitlab.add_user("dana")
        gitlab.add_member(gitlab.add_project(_PATH, id=PROJECT), user, 30)
        settings = Settings(
            data_dir=options.keep or scratch,
            database_url=options.database,
            secret_key="benchmark",
            external_url="http://localhost",
            gitlab_url=gitlab.url,
            gitlab_token=gitlab.add_token(user, ["api"]),
        )
        deps = create_deps(settings)
        scope_of(deps)
        with deps.db.read() as connection:
            there = connection.execute(
                sa.select(sa.func.count())
                .select_from(schema.candidate_job)
                .where(schema.candidate_job.c.project_id == PROJECT)
            ).scalar_one()
        if not there:
            fill(deps, options.candidates)
            tie(deps, options.candidates)
            nest(deps, options.candidates)
        client = create_app(deps).test_client()
        sign_in(client, gitlab.add_token(user, ["api"]))
        name = "SQLite" if deps.db.is_sqlite else "PostgreSQL"
        load = f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
        print(f"{options.candidates} candidates on {name}, {load}, {options.rounds} rounds")
        print(
            f"{'page':28} {'median ms':>10} {'95 % ms':>10} {'own ms':>8} {'kB':>6} {'sent kB':>8} {'statements':>11}"
        )
        for label, address in addresses().items():
            if options.only not in label:
                continue
            fetch = partial(fetched, client, f"/{_PATH}/-/ml/{address}")
            median, high, own = measured(fetch, options.rounds)
            sent = fetch()
            size, small = len(gzip.decompress(sent)) / 1000, len(sent) / 1000
            count = count_statements(deps, fetch)
            print(f"{label:28} {median:10.1f} {high:10.1f} {own:8.1f} {size:6.0f} {small:8.0f} {count:11}", flush=True)
        deps.db.dispose()


if __name__ == "__main__":
    main()
