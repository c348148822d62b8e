"""Where something was made that was imported. What is said of it there is no evidence here."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

IMPORTED_TAG = "mltrail.imported_from"
"""The tag, written by the server alone, of runs, versions and traces that were imported."""

_MOST_CHARACTERS = 250


@dataclass(frozen=True, slots=True)
class Origin:
    """A place that a history was imported from: `description` is what was found there, such as `MLflow 2.22.1`, and
    `address` its URL or path, without user name and password. Both come from elsewhere, so they are not safe to show as
    they are. Times are milliseconds since the epoch: of the first import from there, and of the last.
    """

    id: int
    kind: str
    address: str
    description: str
    first_ms: int
    last_ms: int

    def place(self, quoted: Callable[[str], str] = str) -> str:
        """Name the place. `quoted` makes safe what comes from elsewhere."""
        what = self.description or self.kind
        return f"{quoted(_cut(what))} at {quoted(_cut(self.address))}" if self.address else quoted(_cut(what))

    @property
    def where(self) -> str:
        """Say from where and when, for a page."""
        return f"from {self.place()} {self.days}"

    @property
    def days(self) -> str:
        """Say when it was imported, as in `on 2026-11-29`."""
        first, last = (
            datetime.fromtimestamp(at / 1000, UTC).date().isoformat() for at in (self.first_ms, self.last_ms)
        )
        return f"on {first}" if first == last else f"between {first} and {last}"

    def sentence(self, quoted: Callable[[str], str] = str) -> str:
        return f"imported from {self.place(quoted)} {self.days}"


def _cut(text: str) -> str:
    return text if len(text) <= _MOST_CHARACTERS else text[: _MOST_CHARACTERS - 1] + "…"
