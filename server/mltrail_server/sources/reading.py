"""What readers of REST APIs share: lists that are read to their end, and losses that become findings."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from mltrail_server.domain.errors import MltrailError
from mltrail_server.domain.transfer import Entity, Findings, Loss

from .http import LostError, Rest, TooLargeError
from .paging import pages
from .workers import Workers

_ABSENT = frozenset({404, 405, 501})
_ABSENT_CODES = frozenset({"ENDPOINT_NOT_FOUND", "NOT_IMPLEMENTED", "FEATURE_DISABLED"})

Json = Mapping[str, Any]
Fetched = tuple[list[Json], str]
Record = TypeVar("Record")


def page(got: Json, key: str) -> Fetched:
    """Take a page and the next token out of a response."""
    found = got.get(key) or []
    if not isinstance(found, list):
        raise LostError(f"The server returned {key} that are not a list.")
    return found, str(got.get("next_page_token") or "")


def said(body: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what is empty: an empty page token is not the same as none to every server."""
    return {key: value for key, value in body.items() if value not in ("", None)}


def whole(value: object) -> int | None:
    """Return a whole number that is given as a number or as text; None for none."""
    return None if value is None or value == "" else int(str(value))


def is_absent(error: LostError) -> bool:
    """Whether a server does not know a call. A 404 with an error code of MLflow's own means that something else is
    missing.
    """
    return error.error_code in _ABSENT_CODES or (error.status in _ABSENT and not error.error_code)


class Reading:
    """A server that is being read, and where its losses go. `version` is that of its software, () if unknown."""

    def __init__(self, rest: Rest, findings: Findings, workers: Workers) -> None:
        self.rest, self.findings, self.workers = rest, findings, workers
        self.version: tuple[int, ...] = ()
        self._noted: set[str] = set()

    def listed(
        self,
        ask: Callable[[str, int], Fetched],
        decode: Callable[[Json], Record],
        entity: Entity,
        owner: str,
        sizes: Sequence[int] = (100, 10, 1),
        announced: int | None = None,
    ) -> Iterator[Record]:
        """Read a list to its end. `ask` takes a page token and how many items a page may have at most: fewer are asked
        for where a page can't be read. What can't be read at all is a finding of `owner`. Raises LostError only if the
        server does not know the call.
        """
        left = list(sizes)

        def fetch(token: str) -> Fetched:
            while True:
                try:
                    return ask(token, left[0])
                except LostError as error:
                    if not (error.passing or isinstance(error, TooLargeError)) or len(left) == 1:
                        raise
                    left.pop(0)

        try:
            for found in pages(fetch, entity.value, announced=announced):
                yield from self.decoded(found, decode, entity, owner)
        except LostError as error:
            if is_absent(error):
                raise
            self.lost(entity, owner, f"its list of {entity.value} is not complete", error)

    def decoded(
        self, found: Iterable[Json], decode: Callable[[Json], Record], entity: Entity, owner: str
    ) -> Iterator[Record]:
        """Decode what was fetched. A thing that can't be understood becomes a finding of `owner`, and is left out."""
        for one in found:
            try:
                record = decode(one)
            except (KeyError, TypeError, ValueError, AttributeError, StopIteration):
                text = f"one of its {entity.value} has fields that mltrail can't read: {_named(one)}"
                self.findings.add(Loss.MISSING, entity, owner, text)
            else:
                yield record

    @contextmanager
    def losing(self, entity: Entity, owner: str, text: str) -> Iterator[None]:
        """Turn a loss into a finding: what could not be read, and why."""
        try:
            yield
        except LostError as error:
            self.lost(entity, owner, text, error)

    def lost(self, entity: Entity, owner: str, text: str, error: MltrailError) -> None:
        """Report what could not be read, and why."""
        self.findings.add(Loss.MISSING, entity, owner, f"{text}: {error.message}")

    def lacks(self, entity: Entity) -> None:
        """Note, once, that the server does not know what these are."""
        self.note(entity, "server", f"this server has no {entity.value}, or does not show them")

    def note(self, entity: Entity, owner: str, text: str) -> None:
        """Add a note, once for each text."""
        if text not in self._noted:
            self._noted.add(text)
            self.findings.add(Loss.NOTE, entity, owner, text)


def _named(one: Json) -> str:
    """Name a thing by its ID or name, if it has one."""
    inner = one.get("info", one)
    names = ("run_id", "model_id", "trace_id", "request_id", "dataset_id", "experiment_id", "name")
    found = next((inner[name] for name in names if inner.get(name)), "it has no ID")
    return str(found)[:200]
