"""A call as both sides get it, and what they answer.

Ids differ between the sides, so calls name things by symbols (`⟦run3⟧`), which stand in any text of a call: each side
gets its own id there, and its answers are turned back into symbols before they are compared.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any

_SYMBOL = re.compile(r"⟦\w+⟧")
_SHARE_HELD = 0.8
SIDES = ("mlflow", "mltrail")


@dataclass
class Call:
    """`path` is below the tracking URI. `learns` says which id a good answer brings: kind and way to it; `within` names
    what holds the new thing.
    """

    method: str
    path: str
    json: Any = None
    query: dict[str, Any] | None = None
    data: bytes | None = None
    learns: tuple[str, tuple[str | int, ...]] | None = None
    within: str | None = None
    endpoint: str = ""
    keep: frozenset[str] = frozenset()  # fields that are never spoiled, since the two sides would part for good
    spoiled: bool = False

    def __post_init__(self) -> None:
        self.endpoint = self.endpoint or f"{self.method} {_SYMBOL.sub('<id>', self.path)}"


@dataclass
class Answer:
    status: int
    body: Any

    @property
    def error_code(self) -> str | None:
        code = self.body.get("error_code") if isinstance(self.body, dict) else None
        return code if isinstance(code, str) else None


@dataclass
class World:
    """What exists, as far as the generators need to know it. Things that were deleted stay in the lists."""

    rng: Random
    ids: dict[str, dict[str, str]] = field(default_factory=lambda: {side: {} for side in SIDES})
    known: dict[str, list[str]] = field(default_factory=dict)
    names: dict[str, list[str]] = field(default_factory=dict)
    holders: dict[str, str] = field(default_factory=dict)
    clock: int = 1_700_000_000_000
    count: int = 0

    def __post_init__(self) -> None:
        self.learn("exp", dict.fromkeys(SIDES, "0"))

    def learn(self, kind: str, ids: dict[str, str], within: str | None = None) -> str:
        symbol = f"⟦{kind}{len(self.known.setdefault(kind, []))}⟧"
        self.known[kind].append(symbol)
        for side in SIDES:
            self.ids[side][symbol] = ids[side]
        if within:
            self.holders[symbol] = within
        return symbol

    def some(self, kind: str) -> str:
        """Pick a thing that exists (or did), the newer ones more often."""
        found = self.known.get(kind) or [f"⟦no_{kind}⟧"]
        return found[max(self.rng.randrange(len(found)) for _ in range(3))]

    def holder(self, symbol: str, kind: str) -> str:
        """Name what holds a thing, or some other one now and then."""
        found = self.holders.get(symbol)
        return found if found and self.rng.random() < _SHARE_HELD else self.some(kind)

    def name(self, kind: str) -> str:
        """Pick a name that was given out, or nearly so."""
        found = self.names.get(kind) or ["nobody"]
        return found[max(self.rng.randrange(len(found)) for _ in range(3))]

    def new_name(self, kind: str) -> str:
        self.count += 1
        made = f"{kind} {self.count}"
        self.names.setdefault(kind, []).append(made)
        return made

    def tick(self) -> int:
        self.clock += 1000
        return self.clock

    def resolved(self, value: Any, side: str) -> Any:
        """Put a side's ids into a call."""
        if isinstance(value, str):
            return _SYMBOL.sub(lambda match: self.ids[side].get(match[0], _nobody(match[0])), value)
        if isinstance(value, list):
            return [self.resolved(one, side) for one in value]
        if isinstance(value, dict):
            return {self.resolved(key, side): self.resolved(one, side) for key, one in value.items()}
        return value


def _nobody(symbol: str) -> str:
    """An id of the right shape that nothing has."""
    kind = symbol.strip("⟦⟧").rstrip("0123456789").removeprefix("no_")
    prefixes = {"lm": "m-", "trace": "tr-", "said": "a-", "ds": "d-", "record": "dr-"}
    return "999999999" if kind == "exp" else prefixes[kind] + "0" * 32 if kind in prefixes else "f" * 32


Generator = Callable[[World], Call]
