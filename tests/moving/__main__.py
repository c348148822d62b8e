"""Move histories and compare: `python -m tests.moving --seed 7 --runs 2000 --generation mlflow-3 --way REST`."""

import argparse
import sys
import tempfile
from pathlib import Path

from tests.differential.servers import mlflow_server

from .asking import Side, answers, compare
from .explained import rules
from .histories import GENERATIONS, fill
from .moving import VERSIONS, move, moved_to
from .old_records import OldRecords
from .questions import about, learn


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument("--generation", choices=GENERATIONS, action="append")
    parser.add_argument("--way", choices=("REST", "database"), action="append")
    options = parser.parse_args()
    lost = 0
    for generation in options.generation or GENERATIONS:
        for way in options.way or ("database", "REST"):
            with tempfile.TemporaryDirectory() as folder:
                lost += _run(Path(folder), generation, way, seed=options.seed, runs=options.runs)
    return 1 if lost else 0


def _run(folder: Path, generation: str, way: str, *, seed: int, runs: int) -> int:
    fill(folder / "old", generation, seed=seed, runs=runs)
    with mlflow_server(folder / "old", generation) as url, moved_to(folder / "new") as new:
        old = Side(url)
        facts = learn(old, VERSIONS[generation])
        done = move(folder / "old", url, way, folder / "new")
        new.learn()
        questions = list(about(facts))
        theirs = list(answers(old, questions))
        records = OldRecords.from_answers(theirs, facts.runs, folder / "old/files")
        outcome = compare(theirs, answers(new, questions), rules(facts, records, done.findings))
    sys.stdout.write("\n".join([*map(str, outcome.differences), f"{generation} by {way}: {outcome}", ""]))
    return len(outcome.differences)


if __name__ == "__main__":
    sys.exit(main())
