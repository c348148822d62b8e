"""How often the comparison is right: simulated merge requests against a simulated target branch.

    python -m benchmarks.gate [--requests 10000]

Each line is a situation: how many runs each side has, how many pipelines the target branch has had, how it moves, and
what the merge request truly changes, in spreads from run to run. It prints how often the metric is called worse and
better. "Worse" without a true drop is a false alarm; 5 % are intended where the branch is stable or moves steadily.
"""

import argparse
import random
from collections.abc import Iterator
from dataclasses import dataclass

from mltrail_server.domain import evidence
from mltrail_server.domain.statistics import summarise


@dataclass(frozen=True)
class Situation:
    """`drift` is what the branch gains per pipeline; `jumps`: it jumps by two spreads about every fifth pipeline."""

    name: str
    runs: int = 5
    baseline: int = 5
    pipelines: int = 20
    drop: float = 0.0
    drift: float = 0.0
    jumps: bool = False
    spread: float = 1.0


SITUATIONS = (
    Situation("5 runs a side, no history, nothing changed", pipelines=0),
    Situation("5 runs a side, no history, a drop of one spread", pipelines=0, drop=1),
    Situation("5 runs a side, nothing changed"),
    Situation("5 runs a side, a drop of one spread", drop=1),
    Situation("5 runs a side, a drop of three spreads", drop=3),
    Situation("5 runs a side, a branch that improves, nothing changed", drift=0.1),
    Situation("5 runs a side, a branch that improves, a drop of one spread", drift=0.1, drop=1),
    Situation("5 runs a side, a branch that declines, nothing changed", drift=-0.1),
    Situation("5 runs a side, three times the spread here, nothing changed", spread=3),
    Situation("1 run a side, nothing changed", runs=1, baseline=1),
    Situation("1 run a side, a drop of three spreads", runs=1, baseline=1, drop=3),
    Situation("1 run a side, a branch that improves, nothing changed", runs=1, baseline=1, drift=0.1),
    Situation("1 run a side, a branch that improves, a drop of three spreads", runs=1, baseline=1, drift=0.1, drop=3),
    Situation("1 run a side, a branch that jumps, nothing changed", runs=1, baseline=1, jumps=True),
    Situation("1 run a side, a branch that jumps, a drop of three spreads", runs=1, baseline=1, jumps=True, drop=3),
    Situation("1 run a side, no history, a drop of three spreads", runs=1, baseline=1, pipelines=0, drop=3),
)


def levels(one: Situation, rng: random.Random) -> Iterator[float]:
    """Return the branch's true levels, newest first; the newest is 0."""
    level = 0.0
    for _ in range(one.pipelines + 1):
        yield level
        level -= one.drift
        if one.jumps and rng.random() < 1 / 5:
            level -= 2


def shares(one: Situation, *, requests: int, seed: int = 1) -> tuple[float, float]:
    """Simulate merge requests. Returns the shares that are called worse, and better."""
    rng = random.Random(seed)  # noqa: S311 - no secret
    worse = better = 0
    for _ in range(requests):
        branch = [summarise([rng.gauss(level, 1) for _ in range(one.baseline)]) for level in levels(one, rng)]
        now = summarise([rng.gauss(-one.drop, one.spread) for _ in range(one.runs)])
        before = evidence.level(branch[0], branch[1:])
        weighed = evidence.weigh(before, now)
        if weighed is not None and weighed.real():
            worse, better = (worse + 1, better) if weighed.low + weighed.high < 0 else (worse, better + 1)
    return worse / requests, better / requests


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--requests", type=int, default=10_000, help="merge requests a situation (default 10000)")
    requests = parser.parse_args().requests
    print("| Situation | worse | better |\n|:--|--:|--:|")
    for one in SITUATIONS:
        worse, better = shares(one, requests=requests)
        print(f"| {one.name} | {worse:.1%} | {better:.1%} |", flush=True)


if __name__ == "__main__":
    main()
