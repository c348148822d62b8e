"""The situations that are simulated: what a team trains, how its branch moves, and what its authors do."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from .runs import Branch, Shape, Side


class Author(StrEnum):
    """How often an author runs a pipeline."""

    ONCE = "once"  # one pipeline
    RETRIES = "retries"  # runs the same commit again while it is red, up to three times
    RETRIES_SAME_SEEDS = "retries, same seeds"
    ALWAYS_FOUR = "always four"  # a bot that runs each commit four times
    PUSHES = "pushes"  # pushes up to three trivial commits while it is red


@dataclass(frozen=True)
class Change:
    """What a merge request truly changes: by how many spreads a metric with a rule drops, and whether all do."""

    name: str
    drop: float = 0.0
    every: bool = False  # all metrics drop instead of one

    @property
    def nothing(self) -> bool:
        return not self.drop


UNCHANGED = Change("nothing changed")
ONE_DROPS = Change("one drops by 1", 1.0)
ONE_DROPS_MORE = Change("one drops by 1.25", 1.25)
ONE_DROPS_FAR = Change("one drops by 3", 3.0)
ALL_DROP = Change("all drop by 1", 1.0, every=True)
ALL_DROP_FAR = Change("all drop by 3", 3.0, every=True)
TWO_POINTS = Change("the accuracy drops by two points", 0.02)

ONE_RUN, THREE, FIVE, EIGHT = Side(1), Side(3), Side(5), Side(8)
STEADY = Branch()


@dataclass(frozen=True)
class Situation:
    """Each of the `models` has metrics with a fail rule (`failing`), with a warn rule (`warning`) and without a rule
    (`unruled`). `pipelines` is how many the target branch has, including the baseline. `tolerance` is the loss that the
    rules tolerate, in spreads; each metric with a rule truly loses exactly that much, even if nothing else changes.
    `one_rule` means that a single rule covers all metrics by a glob. With `discordance` there are no runs: two named
    models answer the same cases, and in this share of them only one of the two is right.
    """

    slug: str
    name: str
    failing: int = 3
    warning: int = 0
    unruled: int = 0
    models: int = 1
    shape: Shape = Shape.NORMAL
    correlation: float = 0.0
    here: Side = FIVE
    main: Side = FIVE
    pipelines: int = 20
    branch: Branch = STEADY
    author: Author = Author.ONCE
    tolerance: float = 0.0
    one_rule: bool = False
    discordance: float = 0.0
    answering: int = 0
    changes: tuple[Change, ...] = (UNCHANGED, ONE_DROPS)


@dataclass(frozen=True)
class Section:
    title: str
    situations: Sequence[Situation]
    remark: str = ""


_METRICS = Section(
    "How many metrics, and how they correlate",
    (
        Situation("one-metric", "1 metric", failing=1, changes=(UNCHANGED, ONE_DROPS, ONE_DROPS_MORE)),
        Situation("three-metrics", "3 metrics", changes=(UNCHANGED, ONE_DROPS, ONE_DROPS_MORE, ALL_DROP)),
        Situation("five-metrics", "5 metrics", failing=5, changes=(UNCHANGED, ONE_DROPS, ALL_DROP)),
        Situation("ten-metrics", "10 metrics", failing=10, changes=(UNCHANGED, ONE_DROPS, ALL_DROP)),
        Situation(
            "correlated-50", "3 metrics, correlation 0.5", correlation=0.5, changes=(UNCHANGED, ONE_DROPS, ALL_DROP)
        ),
        Situation(
            "correlated-80", "3 metrics, correlation 0.8", correlation=0.8, changes=(UNCHANGED, ONE_DROPS, ALL_DROP)
        ),
        Situation(
            "correlated-95", "3 metrics, correlation 0.95", correlation=0.95, changes=(UNCHANGED, ONE_DROPS, ALL_DROP)
        ),
        Situation("mixed", "3 fail rules, 3 warn rules, 4 metrics without a rule", warning=3, unruled=4),
        Situation("three-models", "3 models with 3 metrics each", models=3),
        Situation(
            "twenty-slices",
            "20 slices, one rule with a glob, 5 pipelines before",
            failing=20,
            one_rule=True,
            pipelines=6,
        ),
    ),
)
_RUNS = Section(
    "How many runs",
    (
        Situation("no-history", "5 v 5 runs, no history", pipelines=1, changes=(UNCHANGED, ONE_DROPS, ALL_DROP)),
        Situation("three-runs", "3 v 3 runs", here=THREE, main=THREE),
        Situation("three-runs-no-history", "3 v 3 runs, no history", here=THREE, main=THREE, pipelines=1),
        Situation("eight-runs", "8 v 8 runs", here=EIGHT, main=EIGHT, changes=(UNCHANGED, ONE_DROPS, ALL_DROP)),
        Situation("eight-runs-no-history", "8 v 8 runs, no history", here=EIGHT, main=EIGHT, pipelines=1),
        *(
            Situation(
                f"one-run-{pipelines}",
                f"1 v 1 run, {pipelines} pipelines on main",
                here=ONE_RUN,
                main=ONE_RUN,
                pipelines=pipelines,
                changes=(UNCHANGED, ONE_DROPS, ONE_DROPS_FAR),
            )
            for pipelines in (5, 10, 20)
        ),
    ),
)
_SHAPES = Section(
    "How metrics vary from run to run",
    tuple(
        Situation(
            f"{slug}-{words}", f"{name}, {side.runs} v {side.runs}", shape=shape, here=side, main=side, changes=changes
        )
        for slug, name, shape in (
            ("t3", "heavy tails: t with 3 degrees of freedom", Shape.T3),
            ("left-skew", "left skew: mirrored exponential", Shape.LEFT_SKEW),
            ("binomial", "rates of 200 cases", Shape.BINOMIAL),
            ("not-a-number", "5 % of runs diverge: not a number", Shape.NOT_A_NUMBER),
            ("garbage", "5 % of runs diverge: ten spreads lower", Shape.GARBAGE),
        )
        for words, side, changes in (
            ("five-runs", Side(), (UNCHANGED, ONE_DROPS)),
            ("one-run", ONE_RUN, (UNCHANGED, ONE_DROPS_FAR)),
        )
    ),
)
_BRANCHES = Section(
    "How the target branch moves",
    tuple(
        Situation(
            f"{slug}-{words}",
            f"{name}, {side.runs} v {side.runs}",
            branch=branch,
            here=side,
            main=side,
            changes=changes,
        )
        for slug, name, branch in (
            ("rising", "rises by 0.1 in each pipeline", Branch(drift=0.1)),
            ("falling", "falls by 0.1 in each pipeline", Branch(drift=-0.1)),
            ("wandering-50", "wanders by 0.5, correlation 0.5", Branch(wander=0.5, memory=0.5)),
            ("wandering-80", "wanders by 0.5, correlation 0.8", Branch(wander=0.5, memory=0.8)),
            ("leaping", "leaps by 2, up or down, in every tenth pipeline", Branch(leap=2.0)),
        )
        for words, side, changes in (
            ("five-runs", Side(), (UNCHANGED, ONE_DROPS)),
            ("one-run", ONE_RUN, (UNCHANGED, ONE_DROPS_FAR)),
        )
    ),
)
_SELECTION = Section(
    "The best of several candidates; two metrics, correlation 0.7, the first one ranks",
    tuple(
        Situation(
            slug,
            name,
            failing=2,
            correlation=0.7,
            here=here,
            main=main,
            pipelines=pipelines,
            changes=changes,
        )
        for slug, name, here, main, pipelines, changes in (
            ("best-of-10-here", "10 here, 1 on main", Side(candidates=10), Side(), 10, (UNCHANGED, ALL_DROP)),
            (
                "best-of-10-one-good",
                "10 here, all but one truly worse by 1; 1 on main",
                Side(candidates=10, behind=1.0),
                Side(),
                10,
                (UNCHANGED, ALL_DROP),
            ),
            ("best-of-10-main", "1 here, 10 on main", Side(), Side(3, candidates=10), 6, (UNCHANGED, ALL_DROP)),
            (
                "best-of-10-both",
                "10 here, 10 on main, 3 runs of each",
                Side(3, candidates=10),
                Side(3, candidates=10),
                6,
                (UNCHANGED, ALL_DROP),
            ),
            *(
                (slug, name, here, main, pipelines, (UNCHANGED, ALL_DROP, ALL_DROP_FAR))
                for slug, name, here, main, pipelines in (
                    ("best-of-10-both-one-run", "10 here, 10 on main, 1 run of each", Side(1, 10), Side(1, 10), 20),
                    ("best-of-50-here", "50 here with 1 run of each, 1 on main", Side(1, 50), Side(1), 20),
                    ("best-of-50-main", "1 here, 50 on main, 1 run of each", Side(1), Side(1, 50), 6),
                )
            ),
            (
                "one-seed",
                "5 runs with one seed here",
                Side(5, candidates=0, copied=1),
                Side(),
                20,
                (UNCHANGED, ALL_DROP),
            ),
            (
                "one-seed-each",
                "1 here, and 40 whose 5 runs share a seed",
                Side(5, copied=40),
                Side(),
                20,
                (UNCHANGED, ALL_DROP),
            ),
        )
    ),
    "A candidate that truly is worse may win by luck: to call it worse is no false alarm.",
)
_AUTHORS = Section(
    "Several pipelines of one merge request",
    (
        Situation("retries", "the same commit again while red, up to 3 times", author=Author.RETRIES),
        Situation("retries-same-seeds", "the same, always with the same seeds", author=Author.RETRIES_SAME_SEEDS),
        Situation(
            "retries-one-run",
            "the same commit again while red, 1 v 1 run",
            here=ONE_RUN,
            main=ONE_RUN,
            author=Author.RETRIES,
            changes=(UNCHANGED, ONE_DROPS_FAR),
        ),
        Situation("always-four", "four pipelines of the same commit, always", author=Author.ALWAYS_FOUR),
        Situation("pushes", "a trivial commit while red, up to 3 times", author=Author.PUSHES),
    ),
)
_TOLERANCE = Section(
    "A tolerated loss; each metric truly loses exactly what its rule tolerates",
    (
        Situation("tolerance-one", "1 metric, one spread tolerated", failing=1, tolerance=1.0),
        Situation("tolerance-three", "3 metrics, one spread tolerated", tolerance=1.0),
    ),
)
_CASES = Section(
    "Two named models on the same 1,000 cases, one rule",
    tuple(
        Situation(
            f"cases-{share}",
            f"{share} % of the cases are right in one model only",
            failing=1,
            discordance=share / 100,
            changes=(UNCHANGED, TWO_POINTS),
        )
        for share in (3, 5, 6, 10, 20)
    ),
)

_CROSSED = Section(
    "Several runs a side answer the same 1,000 cases, one rule",
    tuple(
        Situation(
            f"cases-crossed-{runs}",
            f"{runs} v {runs} runs",
            failing=1,
            answering=runs,
            changes=(UNCHANGED, TWO_POINTS),
        )
        for runs in (3, 5)
    ),
    "With several runs on each side, a rule is about the change: whether it makes models worse.",
)

SECTIONS = (_METRICS, _RUNS, _SHAPES, _BRANCHES, _SELECTION, _AUTHORS, _TOLERANCE, _CASES, _CROSSED)


def every_cell() -> Iterator[tuple[Situation, Change]]:
    for section in SECTIONS:
        for situation in section.situations:
            for change in situation.changes:
                yield situation, change
