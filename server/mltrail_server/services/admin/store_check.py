"""Compare what the database knows about files with what is in the file store."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import Enum

from mltrail_server.artifacts.base import ListedBlob
from mltrail_server.domain.ids import ProjectId
from mltrail_server.services.context.deps import Deps
from mltrail_server.services.files import integrity
from mltrail_server.store.db.project import Project
from mltrail_server.store.files import blobs, uploads
from mltrail_server.store.files.blobs import Blob

from . import garbage

_PAGE = 1000
_MOST_NAMES = 5


class ProblemKind(Enum):
    MISSING = "missing"  # the database knows it, the store does not have it
    SIZE = "size"  # another size than was stored
    DIGEST = "digest"  # another content than was stored
    ORPHAN = "orphan"  # the store has it, the database does not know it
    YOUNG_ORPHAN = "young orphan"  # the same, less than a day old: it may belong to an upload in progress
    UNFINISHED = "unfinished upload"  # in progress, or interrupted; garbage collection removes it after a day


LOST = frozenset({ProblemKind.MISSING, ProblemKind.SIZE, ProblemKind.DIGEST})


@dataclass(frozen=True, slots=True)
class FileProblem:
    """`names` are some of the names that point at the bytes; sizes are in bytes."""

    kind: ProblemKind
    project_id: ProjectId
    blob_id: str
    names: tuple[str, ...] = ()
    expected_size: int | None = None
    found_size: int | None = None

    def line(self) -> str:
        sizes = {
            ProblemKind.MISSING: f"{self.expected_size} bytes",
            ProblemKind.SIZE: f"{self.found_size} bytes instead of {self.expected_size}",
            ProblemKind.DIGEST: f"{self.expected_size} bytes, of another content",
            ProblemKind.UNFINISHED: "of a size that nobody knows",
        }.get(self.kind, f"{self.found_size} bytes")
        names = f": {', '.join(self.names)}" if self.names else ""
        return f"{self.kind.value}: project {self.project_id}, {self.blob_id}, {sizes}{names}"

    def as_json(self) -> dict[str, object]:
        return {
            "problem": self.kind.value,
            "project_id": self.project_id,
            "blob_id": self.blob_id,
            "names": list(self.names),
            "expected_size": self.expected_size,
            "found_size": self.found_size,
        }


@dataclass(slots=True)
class Totals:
    files: int = 0
    size: int = 0
    learned: int = 0  # digests that were unknown before
    problems: dict[ProblemKind, int] = field(default_factory=lambda: dict.fromkeys(ProblemKind, 0))

    @property
    def lost(self) -> int:
        return sum(self.problems[kind] for kind in LOST)

    def line(self) -> str:
        problems = ", ".join(f"{count:,} {kind.value}" for kind, count in self.problems.items())
        learned = f" {self.learned:,} digests were learned." if self.learned else ""
        return f"Checked {self.files:,} files ({self.size:,} bytes): {problems}.{learned}"

    def as_json(self) -> dict[str, object]:
        problems = {kind.value: count for kind, count in self.problems.items()}
        return {"files": self.files, "bytes": self.size, "digests_learned": self.learned, "problems": problems}


def check(deps: Deps, report: Callable[[FileProblem], None], *, with_digests: bool = False) -> Totals:
    """Call `report` for everything that is not as it should be. Files may be added and removed meanwhile.

    With `with_digests` all bytes are read, so it takes as long as reading the whole store.
    """
    deps.files.ping()
    totals = Totals()
    for project_id in sorted({*garbage.all_projects(deps), *deps.files.projects()}):
        for known, stored in _paired(_known(deps.project(project_id)), deps.files.stored(project_id)):
            if known is not None:
                totals.files += 1
                totals.size += known.size
            problem = _problem(deps, project_id, known, stored)
            if problem is None and known is not None and with_digests:
                problem = _digest_problem(deps, project_id, known, totals)
            if problem is not None:
                totals.problems[problem.kind] += 1
                report(problem)
    for problem in _unfinished(deps):
        totals.problems[problem.kind] += 1
        report(problem)
    return totals


def remove_orphans(deps: Deps) -> Totals:
    """Remove bytes that the database does not know and that are older than a day. This can't be undone."""
    totals = Totals()

    def remove(problem: FileProblem) -> None:
        if problem.kind is ProblemKind.ORPHAN:
            deps.files.delete(problem.project_id, problem.blob_id)
            totals.files += 1
            totals.size += problem.found_size or 0

    check(deps, remove)
    return totals


def _known(project: Project) -> Iterator[Blob]:
    last = ""
    while True:
        with project.read() as tx:
            page = blobs.after(tx, last, limit=_PAGE)
        if not page:
            return
        yield from page
        last = page[-1].id


def _paired(known: Iterator[Blob], stored: Iterator[ListedBlob]) -> Iterator[tuple[Blob | None, ListedBlob | None]]:
    """Walk in parallel through two lists that are sorted by id, so that memory does not grow with them."""
    row, blob = next(known, None), next(stored, None)
    while row is not None or blob is not None:
        if blob is None or (row is not None and row.id < blob.blob_id):
            yield row, None
            row = next(known, None)
        elif row is None or blob.blob_id < row.id:
            yield None, blob
            blob = next(stored, None)
        else:
            yield row, blob
            row, blob = next(known, None), next(stored, None)


def _problem(deps: Deps, project_id: ProjectId, known: Blob | None, stored: ListedBlob | None) -> FileProblem | None:
    if known is not None and stored is not None and known.size == stored.size:
        return None
    # The two lists were read at different times, so what looks wrong is checked again.
    blob_id = known.id if known is not None else stored.blob_id if stored is not None else ""
    size = deps.files.size(project_id, blob_id)
    with deps.project(project_id).read() as tx:
        still_known = blobs.exists(tx, blob_id)
        names = tuple(blobs.names_of(tx, blob_id, limit=_MOST_NAMES))
    if still_known and known is not None:
        kind = ProblemKind.MISSING if size is None else ProblemKind.SIZE
        return None if size == known.size else FileProblem(kind, project_id, blob_id, names, known.size, size)
    if not still_known and stored is not None and size is not None:
        young = stored.modified_ms > deps.clock() - garbage.GRACE_MS
        return FileProblem(
            ProblemKind.YOUNG_ORPHAN if young else ProblemKind.ORPHAN, project_id, blob_id, found_size=size
        )
    return None


def _digest_problem(deps: Deps, project_id: ProjectId, known: Blob, totals: Totals) -> FileProblem | None:
    if known.sha256 is None:
        integrity.learn_digest(deps, project_id, known.id, known.size)
        totals.learned += 1
        return None
    if integrity.computed_digest(deps, project_id, known.id, known.size) == known.sha256:
        return None
    with deps.project(project_id).read() as tx:
        names = tuple(blobs.names_of(tx, known.id, limit=_MOST_NAMES))
    return FileProblem(ProblemKind.DIGEST, project_id, known.id, names, known.size, known.size)


def _unfinished(deps: Deps) -> Iterator[FileProblem]:
    for leftover in deps.files.leftovers(before_ms=deps.clock()):
        with deps.project(leftover.project_id).read() as tx:
            under_way = uploads.get(tx, leftover.blob_id)
        names = (under_way.path,) if under_way is not None else ()
        yield FileProblem(ProblemKind.UNFINISHED, leftover.project_id, leftover.blob_id, names)
