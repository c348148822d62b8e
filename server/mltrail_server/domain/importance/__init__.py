"""Which parameters mattered for a metric over many runs, and how sure that is. Standard library only.

Everything rests on ranks: of the runs by the metric, and of a parameter's numbers. So scales don't matter, logarithmic
or not, and a run that diverged to 1e308 counts as the worst and no more.

- *Importance* is the share of the metric's rank variance that the parameter explains on its own: a one-way analysis of
  variance over its values, numbers being cut into up to ten groups of equal size. This is the main effect of a
  functional ANOVA, and on ranks it is the test of Kruskal and Wallis. Shares are corrected for chance, since ten groups
  explain some of any noise (epsilon squared, Kelley 1935). Their intervals are those of `main_effects.interval`.
- A share is reported only if a test finds it, at one false alarm in twenty for all parameters together (Holm). The test
  is F, or a permutation test below 20 configurations, whose ranks are too coarse for F. If it finds nothing, the share
  that a sweep of this size would have found with a probability of 80 % says whether it was large enough to tell.
- Runs that differ only in a repeat, such as the seed, are one configuration: counted apart, they would pretend to
  know more about all the other parameters than they do. But if all combinations were tried about equally often, the
  other parameters' effects cancel, and each run counts.
- *Interactions* are what pairs of parameters explain beyond the sum of all main effects (backfitted, since sweeps are
  seldom balanced).
"""

from .analysis import analyse
from .coding import LOGARITHMIC, NOT_SET, OTHERS, Coded, code, is_logarithmic, number, numbers_of, ranks
from .results import ALPHA, LEAST, NEGLIGIBLE, Analysis, Group, Importance, Pair, Verdict

__all__ = [
    "ALPHA",
    "LEAST",
    "LOGARITHMIC",
    "NEGLIGIBLE",
    "NOT_SET",
    "OTHERS",
    "Analysis",
    "Coded",
    "Group",
    "Importance",
    "Pair",
    "Verdict",
    "analyse",
    "code",
    "is_logarithmic",
    "number",
    "numbers_of",
    "ranks",
]
