"""What is said of a scorer besides its verdict: why it can't be compared, and what it could not judge."""

from collections.abc import Callable

from mltrail_server.domain.cases import words
from mltrail_server.domain.cases.evaluation import Differs, ScorerResult


def remark(one: ScorerResult, quoted: Callable[[str], str]) -> str:
    """Say it after the scorer's name; "" if there is nothing to say. `quoted` makes safe what a client wrote."""
    parts = [_differs(one.differs, quoted)] if one.differs is not None else []
    here, there = one.errors
    if here:
        parts.append(f"could not judge {words.count(here)}, which count{'s' if here == 1 else ''} as failed")
    if there:
        parts.append(f"could not judge {words.count(there)} of the baseline")
    return ", and ".join(parts)


def _differs(found: Differs, quoted: Callable[[str], str]) -> str:
    if found.what == "judge":
        return f"can't be compared: judged by {quoted(found.here)} here, by {quoted(found.baseline)} in the baseline"
    return "can't be compared: the scorer has changed"
