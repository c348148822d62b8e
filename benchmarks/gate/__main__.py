"""How often the gate is right: `python -m benchmarks.gate --help`.

The product's own code compares and judges simulated merge requests. Each situation is simulated with nothing changed
and then with drops, and the results are checked against what we require of the gate. A drop for which we require
nothing gets an eighth of the requests.
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
    parser.add_argument("--requests", type=int, default=20_000, help="merge requests per situation (default 20000)")
    parser.add_argument("--only", default="", help="only situations whose short name contains this")
    parser.add_argument("--seed", type=int, default=1, help="a different seed makes different merge requests")
    parser.add_argument("--write", type=Path, metavar="FILE", help="add the counts to this file")
    parser.add_argument("--table", type=Path, nargs="+", metavar="FILE", help="don't simulate, print these counts")
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
