"""How fast a project becomes an archive and comes back, and in how much memory: `python -m benchmarks.archives`.

Both run in processes of their own, whose peak of memory is what `getrusage` says. The project has runs with metric
points and one file in ten runs; both servers are SQLite. `--points` sets the size: the memory must not grow with it.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

from mltrail_server.app import create_deps
from mltrail_server.domain.ids import ProjectId
from mltrail_server.services.archives import importing, writer
from mltrail_server.services.context.deps import Deps
from mltrail_server.settings import Settings
from mltrail_server.store import schema
from mltrail_server.store.archives import rows

PROJECT = ProjectId(1)
POINTS_OF_A_RUN = 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--points", type=int, default=1_000_000, help="metric points (default %(default)s)")
    parser.add_argument("--step", choices=("export", "import"), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.step:
        _step(options.step, options.folder)
        return
    with tempfile.TemporaryDirectory(prefix="mltrail-archives-") as folder:
        _fill(_opened(Path(folder) / "source"), options.points)
        for step in ("export", "import"):
            command = [sys.executable, "-m", "benchmarks.archives", "--step", step, "--folder", folder]
            began = time.perf_counter()
            said = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
            took, memory, processor = time.perf_counter() - began, said[0], float(said[1])
            print(
                f"{step}: {options.points / took:,.0f} points a second, {options.points / processor:,.0f} a second of "
                f"processor time, {memory} MB of memory at most"
            )
        size = sum(path.stat().st_size for path in (Path(folder) / "archive").rglob("*") if path.is_file())
        print(f"{size / options.points:.1f} bytes of archive a point")


def _step(step: str, folder: Path) -> None:
    if step == "export":
        writer.export(_opened(folder / "source"), PROJECT, folder / "archive")
    else:
        importing.import_archive(_opened(folder / "target"), folder / "archive")
    used = resource.getrusage(resource.RUSAGE_SELF)
    print(used.ru_maxrss // 1024, used.ru_utime + used.ru_stime)


def _opened(folder: Path) -> Deps:
    return create_deps(Settings(data_dir=str(folder), local_token="benchmark"))  # noqa: S106 - nobody connects


def _fill(deps: Deps, points: int) -> None:
    runs = points // POINTS_OF_A_RUN
    with deps.db.write() as connection:
        rows.write(connection, schema.project, [(PROJECT, "team/big", None, 1)])
        rows.write(connection, schema.experiment, [(PROJECT, 0, "Default", 0, 1, 1, None)])
        names = [column.name for column in rows.columns(schema.candidate)]
        given = {"project_id": PROJECT, "experiment_iid": 0, "user_name": "me", "status": 3, "stage": 0}
        given |= dict.fromkeys(("started_ms", "ended_ms", "created_ms"), 1) | {"discarded": False, "promoted": False}
        each = ({**given, "iid": n, "eid": f"{n:032x}", "name": f"run {n}"} for n in range(1, runs + 1))
        rows.write_all(connection, schema.candidate, (tuple(run.get(name) for name in names) for run in each))
        rows.write(connection, schema.metric_key, [(PROJECT, n, f"metric {n}") for n in range(10)])
        rows.write_all(connection, schema.metric, _points(runs))
        rows.write(connection, schema.counter, [(PROJECT, "candidate", runs), (PROJECT, "metric_key", 9)])
        for number in range(1, runs + 1, 10):
            stored = deps.files.put(PROJECT, BytesIO(b"%d" % number * 1000))
            blob = (PROJECT, stored.blob_id, stored.size, stored.sha256, 1, None)
            rows.write(connection, schema.blob, [blob])
            rows.write(connection, schema.file, [(PROJECT, f"0/{number:032x}/artifacts/a.bin", stored.blob_id)])


def _points(runs: int) -> Iterator[tuple[Any, ...]]:
    for run in range(1, runs + 1):
        for point in range(POINTS_OF_A_RUN):
            yield PROJECT, run, point % 10, point // 10, 1_790_000_000_000 + point, 1 / (run + point), False


if __name__ == "__main__":
    main()
