"""Run or replay a sequence: `python -m tests.differential --seed 7 --calls 500`."""

import argparse
import sys
import tempfile
from pathlib import Path

from .runner import run
from .servers import mlflow_server, mltrail_server


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--calls", type=int, default=500)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "mlflow").mkdir()
        with mlflow_server(Path(folder) / "mlflow") as theirs, mltrail_server(Path(folder) / "mltrail") as ours:
            outcome = run({"mlflow": theirs, "mltrail": ours}, seed=options.seed, calls=options.calls)
    sys.stdout.write("\n".join([*map(str, outcome.differences), str(outcome), ""]))
    return 1 if outcome.differences else 0


if __name__ == "__main__":
    sys.exit(main())
