"""Make a source's values fit our limits. What does not fit is cut or left out, and listed."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from mltrail_server.domain.errors import MltrailError
from mltrail_server.domain.transfer import Entity, Findings, Loss

_NO_TEXT = re.compile("[\x00\ud800-\udfff]")
_LARGEST = 2**63


@dataclass(slots=True)
class Fit:
    """Fits the parts of one thing. `owner` names it in the findings, as sources do."""

    findings: Findings
    owner: str

    @property
    def lost(self) -> bool:
        """Whether there were any findings other than notes, from here or from the source."""
        return self.owner in self.findings.owners

    def say(self, loss: Loss, entity: Entity, text: str, *, count: int = 1) -> None:
        """Add a finding about the thing. `count` is how many of its parts, such as points, this concerns."""
        self.findings.add(loss, entity, self.owner, text, count=count)

    def text(self, entity: Entity, what: str, value: str, most: int | None = None) -> str:
        """Return a text that databases can store, of at most this many characters."""
        if not value.isascii() or "\0" in value:
            plain = _NO_TEXT.sub("\ufffd", value)
            if plain != value:
                self.say(Loss.CHANGED, entity, f"{what} contains invalid characters, which were replaced by U+FFFD")
            value = plain
        if most is not None and len(value) > most:
            self.say(Loss.CHANGED, entity, f"{what} has {len(value):,} characters and was cut to {most:,}")
            value = value[:most]
        return value

    def optional(self, entity: Entity, what: str, value: str | None, most: int | None = None) -> str | None:
        """Do the same as `text`, but keep None."""
        return None if value is None else self.text(entity, what, value, most)

    def passes(self, entity: Entity, what: str, check: Callable[[], object], *, count: int = 1) -> bool:
        """Return whether a check raises nothing; what it refuses is left out."""
        try:
            check()
        except MltrailError as error:
            self.say(Loss.REFUSED, entity, f"{what}: {error.message}", count=count)
            return False
        return True

    def pairs(
        self, entity: Entity, what: str, pairs: Mapping[str, str], *, most: int, check: Callable[[str], object]
    ) -> dict[str, str]:
        """Fit tags or parameters: keys that are not allowed are left out, long values cut."""
        found: dict[str, str] = {}
        for key, value in pairs.items():
            if self.passes(entity, f"the {what} {key[:60]!r}", lambda key=key: check(key)):  # type: ignore[misc] # mypy infers no lambda with a default
                found[key] = self.text(entity, f"the {what} {key!r}", value, most)
        return found

    def whole(self, entity: Entity, what: str, value: int) -> int:
        """Return a number that a column can hold."""
        if -_LARGEST <= value < _LARGEST:
            return value
        self.say(Loss.CHANGED, entity, f"{what} is {value}, which is too large, and was replaced by the largest number")
        return max(-_LARGEST, min(_LARGEST - 1, value))
