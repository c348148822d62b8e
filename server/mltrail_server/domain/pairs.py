"""Names and values as the database hands them out and a client reads them: JSON, made once.

A page of a search holds thousands of parameters and tags. They cost most when each becomes an object on its way from
the database's text to the client's; so they stay the text that they are, and are read only where somebody looks into
them.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class Pairs:
    """Iterates over (key, value); `json` is `[{"key": …, "value": …}, …]`."""

    json: str = "[]"

    @classmethod
    def of(cls, items: Iterable[tuple[str, str]]) -> Self:
        return cls(json.dumps([{"key": key, "value": value} for key, value in items]))

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return ((one["key"], one["value"]) for one in json.loads(self.json))

    def __len__(self) -> int:
        return len(json.loads(self.json))

    def __bool__(self) -> bool:
        return self.json != "[]"


NONE = Pairs()
