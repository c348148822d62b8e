"""Where mltrail answers otherwise than `mlflow server` on purpose: each with its reason. At most forty.

A rule makes the two sides equal where, and only where, it explains the difference.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .model import Call

Seen = dict[str, Any]
Explain = Callable[[Call, Seen, Seen], tuple[Seen, Seen]]


@dataclass(frozen=True)
class Rule:
    name: str
    reason: str
    explain: Explain


RULES: tuple[Rule, ...] = ()
