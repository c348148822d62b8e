"""Files of metrics: a line is `timestamp value step`, and from MLflow 3 on the dataset's name and digest may follow.

Lines of the time before 1.0 have no step.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from mltrail_server.domain.transfer import Entity, Findings, Loss, ModelMetricRecord, Point, RunRecord

from .tree import Tree

_PAGE = 5_000
_LONGEST = 8_192
_BLOCK = 1 << 20
_TOO_LARGE = 2**63


class Metrics:
    """Reads histories line by line: a file may have millions."""

    def __init__(self, tree: Tree, findings: Findings) -> None:
        self._tree = tree
        self._findings = findings

    def count(self, folder: Path) -> int:
        """Count the lines of all metrics in a folder. What can't be read is a finding of `points`, not of this."""
        lines = 0
        for _, file in Tree(self._tree.root, Findings()).keys(folder, "", Entity.POINT):
            try:
                with file.open("rb") as stream:
                    last = b"\n"
                    while block := stream.read(_BLOCK):
                        lines += block.count(b"\n")
                        last = block
                    lines += not last.endswith(b"\n")
            except OSError:
                continue
        return lines

    def points(self, folder: Path, run: RunRecord) -> Iterator[list[Point]]:
        """Return a run's points in pages."""
        owner = f"run {run.id}"
        page: list[Point] = []
        for key, file in self._tree.keys(folder, owner, Entity.POINT):
            for timestamp, value, step, _ in self._lines(file, key, owner, Entity.POINT):
                page.append((run.id, key, step, timestamp, value))
                if len(page) == _PAGE:
                    yield page
                    page = []
        if page:
            yield page

    def of_model(self, folder: Path, owner: str) -> Iterator[ModelMetricRecord]:
        """Return the metrics of a logged model: in its lines, the run follows the step."""
        for key, file in self._tree.keys(folder, owner, Entity.MODEL_METRIC):
            for timestamp, value, step, rest in self._lines(file, key, owner, Entity.MODEL_METRIC):
                run_id, _, dataset = rest.partition(" ")
                name, _, digest = dataset.rpartition(" ")
                yield ModelMetricRecord(run_id, key, step, timestamp, value, name, digest)

    def _lines(self, file: Path, key: str, owner: str, entity: Entity) -> Iterator[tuple[int, float, int, str]]:
        """Return timestamp, value, step and the rest of each line. A broken line is a finding."""
        number = broken = first = 0
        steps = False
        try:
            with file.open("rb") as stream:
                while line := stream.readline(_LONGEST):
                    number += 1
                    parsed = _parsed(_whole(line, stream))
                    ended = line.endswith(b"\n")
                    if parsed is None or (parsed[2] is None and (steps or not ended)):
                        broken += bool(line.strip())
                        first = first or number * bool(line.strip())
                        continue
                    timestamp, value, step, rest = parsed
                    steps = steps or step is not None
                    if not ended:
                        text = (
                            f"metric {key}: the last line is incomplete, and its last number may be cut off: compare it"
                        )
                        self._findings.add(Loss.CHANGED, entity, owner, text)
                    yield timestamp, value, step or 0, rest
        except OSError as error:
            text = f"metric {key} can't be read from line {number + 1} on ({error.strerror})"
            self._findings.add(Loss.MISSING, entity, owner, text)
        if broken:
            text = f"metric {key}: {broken} lines can't be read, the first is line {first}"
            self._findings.add(Loss.MISSING, entity, owner, text, count=broken)


def _whole(line: bytes, stream: BinaryIO) -> bytes:
    """Read on to the end of a line that is longer than a line can be, and return nothing for it."""
    if len(line) < _LONGEST or line.endswith(b"\n"):
        return line
    while (more := stream.readline(_LONGEST)) and not more.endswith(b"\n"):
        pass
    return b""


def _parsed(line: bytes) -> tuple[int, float, int | None, str] | None:
    """Read a line; its step is None if it has none. Returns None for a broken line."""
    parts = line.split(b" ", 3)
    try:
        moment, number = int(parts[0]), float(parts[1])
        step = int(parts[2]) if len(parts) > 2 else None
        rest = parts[3].decode().rstrip("\r\n") if len(parts) > 3 else ""
    except (ValueError, IndexError):
        return None
    if not 0 <= moment < _TOO_LARGE or not -_TOO_LARGE <= (step or 0) < _TOO_LARGE:
        return None
    return moment, number, step, rest
