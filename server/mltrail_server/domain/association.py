"""How strongly two properties go together: normalized pointwise mutual information (Bouma 2009).

1: one never comes without the other; 0: they are independent; -1: they never come together.
"""

import math

SMOOTHING = 0.5
"""What is added to each of the four counts for the smoothed value: Jeffreys' prior."""


def npmi(*, joint: int, first: int, second: int, total: int, smoothing: float = 0.0) -> float:
    """Return the association of two properties that `first` and `second` of `total` things have, and `joint` both.
    NaN if one of them never occurs, so that nothing can be said.
    """
    neither = total - first - second + joint
    if total <= 0 or first <= 0 or second <= 0 or min(joint, first - joint, second - joint, neither) < 0:
        return math.nan
    if joint == 0 and not smoothing:
        return -1.0
    if joint == total:
        return 1.0
    both = math.log(joint + smoothing)
    everything = math.log(total + 4 * smoothing)
    alone = math.log(first + 2 * smoothing) + math.log(second + 2 * smoothing)
    return max(-1.0, min(1.0, (both + everything - alone) / (everything - both)))
