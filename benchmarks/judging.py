"""How long it takes to judge a merge request, once its runs have been read.

    python -m benchmarks.judging                      this version
    python -m benchmarks.judging --against COMMIT     and an older one, in turns
    python -m benchmarks.judging --only sweep

Times are the process's own, in milliseconds a merge request. Each round is a process of its own, in which the first
merge request finds no cache filled. With `--against`, the ratios are worth more than the times: whatever else the
machine does affects both versions alike.
"""

import argparse
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mltrail_contract import HigherOrLower, Model, Rule, Tolerance
from mltrail_server.domain import gate
from mltrail_server.domain.comparison import compare
from mltrail_server.domain.grouping import Run, RunState

try:
    from mltrail_server.domain import judgement
except ImportError:  # an older version
    judgement = None  # type: ignore[assignment]

ROOT = Path(__file__).parents[1]
_NEWEST = 100  # the target branch's newest pipeline
_DATASETS = {"test": "held-out (6f1ed002ab55)"}


@dataclass(frozen=True)
class Case:
    """How much there is to judge. `requests` is how many merge requests are judged in each round."""

    name: str
    metrics: int
    pipelines: int  # of the target branch
    runs: int
    candidates: int = 1
    requests: int = 1


CASES = (
    Case("ten metrics, 20 pipelines, 5 runs", 10, 20, 5, requests=20),
    Case("ten metrics, 20 pipelines, 1 run", 10, 20, 1, requests=20),
    Case("ten metrics, 20 pipelines, sweep of 50 x 3 runs", 10, 20, 3, candidates=50, requests=3),
    Case("10,000 metrics, 1 pipeline, 3 runs", 10_000, 1, 3),
    Case("10,000 metrics, 20 pipelines, 1 run", 10_000, 20, 1),
)


def _pipeline(case: Case, number: int, names: list[str], rng: random.Random) -> list[Run]:
    """Train each candidate with its own seeds; the first is the best by two spreads."""
    trained = [(depth, seed) for depth in range(case.candidates) for seed in range(case.runs)]
    return [
        Run(
            number * 1000 + place,
            "run",
            RunState.SUCCEEDED,
            {"depth": str(depth), "seed": str(number * case.runs + seed)},
            {name: 0.9 + 0.02 * (rng.gauss() - 2 * bool(depth)) for name in names},
            datasets=_DATASETS,
        )
        for place, (depth, seed) in enumerate(trained)
    ]


def _request(case: Case, rng: random.Random) -> Callable[[], object]:
    """Return a function that judges a merge request with nothing changed; every other metric has a rule."""
    names = [f"val_{'accuracy' if place % 2 else 'recall'}_{place}" for place in range(case.metrics)]
    rule = Rule("val_accuracy_*", HigherOrLower.HIGHER, worse_by=Tolerance(0.0))
    model = Model("churn", same_dataset="test", rank_by=names[0], rank_better=HigherOrLower.HIGHER, rules=(rule,))
    now = _pipeline(case, _NEWEST + 1, names, rng)
    newest, *history = (_pipeline(case, _NEWEST - place, names, rng) for place in range(case.pipelines))

    ids = range(_NEWEST, _NEWEST - case.pipelines, -1)

    def judge() -> object:
        compared = compare(now, newest, history=history, model=model)
        if judgement is None:
            return gate.judge(compared, model, target="main")  # type: ignore[unreachable]
        return judgement.judge_models([judgement.ModelInput("churn", compared, model, target="main", pipelines=ids)])

    return judge


def _milliseconds(case: Case) -> float:
    rng = random.Random(1)  # noqa: S311 - no secret
    requests = [_request(case, rng) for _ in range(case.requests)]
    start = time.process_time()
    for judge in requests:
        judge()
    return 1000 * (time.process_time() - start) / case.requests


def _measured(case: Case, version: Path) -> float:
    """Measure a case with the server of a version, in a process of its own."""
    path = os.pathsep.join([str(version / "server"), str(version / "component")])
    command = [sys.executable, "-m", "benchmarks.judging", "--measure", str(CASES.index(case))]
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "PYTHONPATH": path}, check=True, capture_output=True, text=True
    )
    return float(json.loads(done.stdout))


@contextmanager
def _versions(commit: str | None) -> Iterator[list[Path]]:
    if commit is None:
        yield [ROOT]
        return
    with tempfile.TemporaryDirectory() as folder:
        older = Path(folder) / "older"
        _git("worktree", "add", "--detach", str(older), commit)
        try:
            yield [ROOT, older]
        finally:
            _git("worktree", "remove", "--force", str(older))


def _git(*arguments: str) -> None:
    subprocess.run([shutil.which("git") or "git", *arguments], cwd=ROOT, check=True, capture_output=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--against", metavar="COMMIT", help="an older version to measure in turns with this one")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="", help="cases whose name contains this")
    parser.add_argument("--measure", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure is not None:
        print(json.dumps(_milliseconds(CASES[options.measure])))
        return
    with _versions(options.against) as versions:
        for case in CASES:
            if options.only in case.name:
                rounds = [[_measured(case, one) for one in versions] for _ in range(options.rounds)]
                _tell(case, rounds)


def _tell(case: Case, rounds: list[list[float]]) -> None:
    now, *before = (statistics.median(times) for times in zip(*rounds, strict=True))
    line = f"{case.name}: {now:.1f} ms"
    if before:
        ratio = statistics.median(then / here for here, then in rounds)
        line += f"; before {before[0]:.1f} ms, {ratio:.2f} times as long"
    print(line, flush=True)


if __name__ == "__main__":
    main()
