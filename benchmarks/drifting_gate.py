"""What the gate says about merge requests with one run on each side, while the target branch moves.

    python -m benchmarks.drifting_gate [--requests 10000]

The rule is `worse_by: 0`: no drop is tolerated. A verdict is definite when the gate passes or fails the rule, and
unknown when neither is sure, so that the contract's `if_unknown` decides. A definite verdict is right when it fails a
true drop and passes what is no drop. The merge request's run stands at the branch's newest level, less the drop.
"""

import argparse
import random
from dataclasses import dataclass

from mltrail_contract import HigherOrLower, Model, Outcome, Rule, Tolerance
from mltrail_server.domain import judgement
from mltrail_server.domain.comparison import compare
from mltrail_server.domain.grouping import Run, RunState
from mltrail_server.domain.judgement import ModelInput

from .gate import Situation, levels

MODEL = Model("m", rank_by="score", rules=(Rule("score", better=HigherOrLower.HIGHER, worse_by=Tolerance(0)),))


@dataclass(frozen=True)
class Counted:
    definite: float
    right: float  # of those that are definite


MOVES = (
    ("is stable", Situation("")),
    ("improves by a tenth of a spread per pipeline", Situation("", drift=0.1)),
    ("declines by a tenth of a spread per pipeline", Situation("", drift=-0.1)),
    ("jumps up by two spreads every fifth pipeline", Situation("", jumps=True)),
)
HISTORIES = (0, 3, 5, 10, 19)
DROPS = (0.0, 1.0, 3.0)


def counted(move: Situation, *, pipelines: int, drop: float, requests: int, seed: int = 1) -> Counted:
    """Simulate merge requests that truly drop by so many spreads."""
    rng = random.Random(seed)  # noqa: S311 - no secret
    situation = Situation("", runs=1, baseline=1, pipelines=pipelines, drift=move.drift, jumps=move.jumps)
    definite = right = 0
    for _ in range(requests):
        branch = [[_run(number, rng.gauss(level, 1))] for number, level in enumerate(levels(situation, rng))]
        compared = compare([_run(-1, rng.gauss(-drop, 1))], branch[0], history=branch[1:], model=MODEL)
        (ruling,) = judgement.judge_models([ModelInput("m", compared, MODEL, "main")])["m"].rulings
        if ruling.known:
            definite += 1
            right += (ruling.outcome is Outcome.FAIL) == (drop > 0)
    return Counted(definite / requests, right / definite if definite else 0.0)


def _run(iid: int, score: float) -> Run:
    return Run(iid, "run", RunState.SUCCEEDED, {}, {"score": score})


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--requests", type=int, default=10_000, help="merge requests a situation (default 10000)")
    requests = parser.parse_args().requests
    titles = " | ".join(f"drop {drop:g}: definite, right" for drop in DROPS)
    print(f"| The branch | pipelines before | {titles} |\n|:--|--:|" + ":--|" * len(DROPS))
    for name, move in MOVES:
        for pipelines in HISTORIES:
            found = [counted(move, pipelines=pipelines, drop=drop, requests=requests) for drop in DROPS]
            cells = " | ".join(f"{one.definite:.0%}, {one.right:.0%}" if one.definite else "none" for one in found)
            print(f"| {name} | {pipelines} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
