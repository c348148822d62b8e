"""How often the gate is right: `python -m benchmarks.gate --help`.

Simulated merge requests are compared and judged by the product's own code. Each situation is simulated with nothing
changed, and then with drops; what is required of the gate is checked. Drops of which nothing is required get an eighth
of the requests.
"""

import argparse
import subprocess
import sys
import time
from pathlib import Path

from .results import REQUIRED, Cell, Results, broken_promises, table
from .simulation import simulate
from .situations import Change, Situation, every_cell


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gate", description=__doc__)
    parser.add_argument("--requests", type=int, default=20_000, help="merge requests a situation (default 20000)")
    parser.add_argument("--only", default="", help="situations whose short name holds this")
    parser.add_argument("--seed", type=int, default=1, help="another seed makes other merge requests")
    parser.add_argument("--write", type=Path, metavar="FILE", help="keep the counts in this file; it may have some")
    parser.add_argument("--table", type=Path, nargs="+", metavar="FILE", help="simulate nothing: print these counts")
    options = parser.parse_args()
    if options.table:
        results = Results.read(options.table)
    else:
        results = Results.read([options.write] if options.write and options.write.exists() else [])
        for situation, change in every_cell():
            if options.only in situation.slug:
                _simulate(results, situation, change, options)
    print(table(results))
    broken = list(broken_promises(results))
    print(*broken, sep="\n", file=sys.stderr)
    sys.exit(1 if broken else 0)


def _simulate(results: Results, situation: Situation, change: Change, options: argparse.Namespace) -> None:
    matters = change.nothing or (situation.slug, change.name) in REQUIRED
    requests = options.requests if matters else max(1, options.requests // 8)
    start = time.process_time()
    found = simulate(situation, change, requests=requests, seed=options.seed)
    seconds = round(time.process_time() - start, 1)
    results.add(Cell(situation.slug, change.name, options.seed, _commit(), requests, found, seconds))
    print(f"{situation.slug}, {change.name}: {dict(found)}, {seconds} s", file=sys.stderr, flush=True)
    if options.write:
        results.write(options.write)


def _commit() -> str:
    command = ["git", "rev-parse", "--short", "HEAD"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


if __name__ == "__main__":
    main()
