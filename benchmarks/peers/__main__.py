"""Compare mltrail with `mlflow server` and FastTrackML: `python -m benchmarks.peers --help`.

Each server runs in its best configuration that was found. They take turns item by item, in another order each round,
so that what else the machine does falls on all of them alike. Trust the ratios, not the absolutes.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

from . import databases
from .comparison import PEERS, Comparison
from .environments import make, versions
from .items import items
from .mix import MIXES
from .plot import drawn
from .table import written


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=1.0, help="of each item, server and round")
    parser.add_argument("--sizes", default="1000,10000", help="how many runs the experiments have that are searched")
    databases.add_option(parser)
    parser.add_argument("--local", action="store_true", help="mltrail in local mode: no GitLab, no worker, SQLite only")
    parser.add_argument("--only", default="", help="items whose name holds this, and nothing beside them")
    parser.add_argument("--peers", default=",".join(PEERS))
    parser.add_argument("--mlflow", type=Path, metavar="PYTHON", help="of an environment with another MLflow")
    parser.add_argument("--write", type=Path, help="write table, picture and figures into this folder")
    options = parser.parse_args()
    if options.local and options.postgresql:
        parser.error("local mode uses only SQLite")
    sizes = [int(size) for size in options.sizes.split(",")]
    chosen = [item for item in [*items(sizes), *MIXES] if options.only in item.name]
    make(options.mlflow)
    found = Comparison(chosen, sizes, seconds=options.seconds)
    with databases.server(options.postgresql) as url, tempfile.TemporaryDirectory(prefix="mltrail-bench-") as folder:
        try:
            found.begin(Path(folder), options.peers.split(","), url=url, local=options.local)
            for number in range(options.rounds):
                found.turn(number)
            found.finish(Path(folder), url=url, beside=not options.only)
        finally:
            found.end()
    print(written(found))
    backend = "postgresql" if options.postgresql else "local" if options.local else "sqlite"
    if options.write:
        _write(options.write, backend, found)
    if found.failures:
        print("These failed:", *found.failures, sep="\n", file=sys.stderr)


def _write(folder: Path, backend: str, found: Comparison) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{backend}.md").write_text(written(found))
    (folder / f"performance-{backend}.svg").write_text(drawn(found))
    raw = {name: getattr(found, name) for name in ("rates", "medians", "p99s", "floors", "facts", "failures")}
    (folder / f"{backend}.json").write_text(json.dumps({"versions": versions(), **raw}, indent=1) + "\n")


if __name__ == "__main__":
    main()
