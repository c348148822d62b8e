"""Compare the tables of cases that a report is about.

Which files they are is found in the report's transaction. They are read and compared afterwards, when no connection to
the database waits, and then the report is judged again with what was found.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from mltrail_contract import CaseTable, Model
from mltrail_server.domain.cases import result, words
from mltrail_server.domain.cases.result import CaseResult
from mltrail_server.domain.cases.table import Case
from mltrail_server.domain.comparison import NO_BASELINE, Comparison
from mltrail_server.domain.errors import Code, MltrailError
from mltrail_server.domain.grouping import Run
from mltrail_server.services.context.deps import Ci
from mltrail_server.services.review import run_files
from mltrail_server.store.db.transaction import Transaction
from mltrail_server.store.files.files import File

from . import reading, rows
from .evaluations import Asked, Evaluated, Evaluations
from .rows import UnreadableError
from .sides import Sides, sides_of

T = TypeVar("T")
Key = tuple[CaseTable, tuple[str, ...], tuple[str, ...]]
"""The columns, and the blobs of both sides: whatever else has the same is the same comparison."""

_MOST_FILES = 2_000  # that are looked for, in all models together
_MOST_CASES = 400_000  # in memory at once; one table has at most half as many
_MOST_BYTES = 200_000_000
_MOST_ROWS = 500_000
"""For all tables of one report: for the named runs on each side, and once more for all other runs. A table of 50,000
rows takes one to three seconds of processor time, and twice that with several runs on each side.
"""

_NO_ROOM = "the tables of all models are too large together; log fewer cases"
_MOST_ROUNDS = 3


def judged(ci: Ci, judge: Callable[[Transaction, "CaseResults"], T]) -> T:
    """Judge in a transaction, and once more after reading the tables that it asked for, if they are new."""
    results = CaseResults(ci)
    with ci.project.read() as tx:
        found = judge(tx, results)
    for _ in range(_MOST_ROUNDS):
        if not results.read_wanted():
            break
        with ci.project.read() as tx:
            found = judge(tx, results)
    return found


@dataclass(frozen=True, slots=True)
class _Wanted:
    """Files with the same table of several runs, the named run's first on each side."""

    table: CaseTable
    before: Sequence[File]
    now: Sequence[File]


class CaseResults:
    """What is known of the tables of one report, and which of them have to be read."""

    def __init__(self, ci: Ci) -> None:
        self._ci = ci
        self._known: dict[Key, CaseResult] = {}
        self._wanted: dict[Key, _Wanted] = {}
        self._evaluations = Evaluations()

    def evaluations(self, tx: Transaction, asked: Mapping[str, Asked]) -> dict[str, Evaluated]:
        """Return each model's evaluations, see `Evaluations.of`."""
        return self._evaluations.of(tx, asked)

    def of(self, tx: Transaction, asked: Mapping[str, tuple[Model, Comparison]]) -> dict[str, tuple[CaseResult, ...]]:
        """Return the result of each model's tables, in the contract's order. Two statements, and none if no model has
        tables.
        """
        with_tables = {
            name: (model, sides)
            for name, (model, compared) in asked.items()
            if model.cases and (sides := sides_of(model, compared)) is not None
        }
        if not with_tables:
            return {}
        names = sorted({table.table for model, _ in with_tables.values() for table in model.cases.values()})
        runs = _at_most(with_tables.values(), _MOST_FILES // len(names))
        files = run_files.files(tx, runs, names)
        return {
            name: tuple(self._of_table(table, sides, files) for table in model.cases.values())
            for name, (model, sides) in with_tables.items()
        }

    def read_wanted(self) -> bool:
        """Read and compare what was asked for and is not known. Returns whether there was anything."""
        compared = self._evaluations.compare_wanted()
        wanted, self._wanted = self._wanted, {}
        reader = _Reader(self._ci)
        for key, one in wanted.items():
            found, lasting = reader.compared(one)
            self._known[key] = found
            if lasting:
                self._ci.deps.case_cache.put((self._ci.project_id, key), found)
        return bool(wanted) or compared

    def _of_table(self, table: CaseTable, sides: Sides, files: Mapping[tuple[int, str], File]) -> CaseResult:
        before, now = ([files.get((run.iid, table.table)) for run in side] for side in (sides.before, sides.now))
        named_before, named_now = (side[0] if side else None for side in (before, now))
        if named_now is None:
            # Otherwise leaving out the table would be a way to pass.
            return CaseResult(table, problem="the table was not logged here", ours=named_before is not None)
        if named_before is None:
            reason = "the baseline has not logged the table" if before else NO_BASELINE
            return CaseResult(table, problem=reason)
        return self._compared(_Wanted(table, _whole(before), _whole(now)))

    def _compared(self, wanted: _Wanted) -> CaseResult:
        ending = wanted.table.table.lower().rpartition(".")[2]
        columns = replace(wanted.table, name="", line=0, table=ending)
        before, now = (tuple(file.blob_id for file in side) for side in (wanted.before, wanted.now))
        key = (columns, before, now)
        found = self._known.get(key) or self._ci.deps.case_cache.get((self._ci.project_id, key))
        if found is None:
            self._wanted[key] = wanted
            return CaseResult(wanted.table, problem=words.UNREAD)
        return replace(found, table=wanted.table)


class _NoRoomError(UnreadableError):
    """Too much was read before: the table itself may be good."""


class _Reader:
    """Reads and compares the tables of one report, within limits. Each side has its own, so that a merge request can't
    use up what the baseline needs.
    """

    def __init__(self, ci: Ci) -> None:
        self._ci = ci
        self._bytes = {"before": _MOST_BYTES, "now": _MOST_BYTES, "others": _MOST_BYTES}
        self._rows = {"before": _MOST_ROWS, "now": _MOST_ROWS, "others": _MOST_ROWS}

    def compared(self, wanted: _Wanted) -> tuple[CaseResult, bool]:
        """Compare two sides, and tell whether the result stays true."""
        table = wanted.table
        try:
            before = self._read(table, wanted.before[0], "before")
        except UnreadableError as error:
            return CaseResult(table, problem=f"in the baseline, {error.sentence}"), not isinstance(error, _NoRoomError)
        except MltrailError as error:
            return CaseResult(table, problem=_not_stored(error)), False
        try:
            now = self._read(table, wanted.now[0], "now")
        except UnreadableError as error:
            return CaseResult(table, problem=error.sentence, ours=True), not isinstance(error, _NoRoomError)
        except MltrailError as error:
            return CaseResult(table, problem=_not_stored(error)), False
        others = self._others(wanted, _MOST_CASES - len(before) - len(now))
        return result.found(table, [before, *others[0]], [now, *others[1]]), True

    def _others(self, wanted: _Wanted, room: int) -> tuple[list[list[Case]], list[list[Case]]]:
        """Read the tables of the other runs on both sides; none of them if one can't be read, or there is no room."""
        sides: tuple[list[list[Case]], list[list[Case]]] = ([], [])
        for found, files in zip(sides, (wanted.before[1:], wanted.now[1:]), strict=True):
            for file in files:
                try:
                    found.append(self._read(wanted.table, file, "others"))
                except (UnreadableError, MltrailError):
                    return [], []
                room -= len(found[-1])
                if room < 0:
                    return [], []
        return sides

    def _read(self, table: CaseTable, file: File, budget: str) -> list[Case]:
        if file.size > rows.MOST_BYTES:
            raise UnreadableError(
                f"the table is larger than {rows.MOST_BYTES // 1_000_000} MB; log fewer cases or columns"
            )
        if file.size > self._bytes[budget] or not self._rows[budget]:
            raise _NoRoomError(_NO_ROOM)
        self._bytes[budget] -= file.size
        content = b"".join(self._ci.deps.files.get(self._ci.project_id, file.blob_id, length=file.size))
        found = reading.read(content, table)
        if len(found) > self._rows[budget]:
            self._rows[budget] = 0
            raise _NoRoomError(_NO_ROOM)
        self._rows[budget] -= len(found)
        return found


def _not_stored(error: MltrailError) -> str:
    return "the file of a table is gone" if error.code is Code.NOT_FOUND else "the file store does not answer"


def _at_most(sides: Collection[tuple[Model, Sides]], most: int) -> list[Run]:
    """Take the named runs of all models before the others of any."""
    named = [side[0] for _, both in sides for side in (both.before, both.now) if side]
    others = [run for _, both in sides for side in (both.before, both.now) for run in side[1:]]
    return list({run.iid: run for run in [*named, *others]}.values())[:most]


def _whole(files: Sequence[File | None]) -> list[File]:
    """All runs' files, or that of the named run alone if others have not logged theirs: choosing among runs would make
    a change look better or worse than it is.
    """
    found = [file for file in files if file is not None]
    return found if len(found) == len(files) else found[:1]
