"""Names of files: one level of a folder is a range of the key, however much lies below it."""

import itertools
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from io import BytesIO

import pytest
from sqlalchemy import event

from mltrail_server.domain.errors import MltrailError
from mltrail_server.domain.ids import ProjectId, is_blob_id
from mltrail_server.services.context.deps import Deps
from mltrail_server.store.db.paging import mark_of, written_token
from mltrail_server.store.db.transaction import Transaction
from mltrail_server.store.files import blobs, files
from mltrail_server.store.files.files import FolderEntry

ONE, TWO = ProjectId(1), ProjectId(2)
SHA = "0" * 64


@pytest.fixture
def tx(deps: Deps) -> Iterator[Transaction]:
    with deps.project(ONE).write() as opened:
        yield opened


def put(tx: Transaction, *paths: str, project: ProjectId = ONE) -> None:
    for number, path in enumerate(paths):
        blob_id = f"{project}-{path}-{number}"[-32:]
        files.put(replace(tx, project_id=project, now=1), path=path, blob_id=blob_id, size=len(path), sha256=SHA)


def test_one_level_of_a_folder(tx: Transaction) -> None:
    put(tx, "r/a/1", "r/a/b/2", "r/a/b/3", "r/a/ü/4", "r/a-b", "r/a.txt", "r/a0", "r/b")
    put(tx, "r/a/theirs", project=TWO)
    assert files.folder_entries(tx, "r/a") == [
        FolderEntry("1", 5),
        FolderEntry("b", None),
        FolderEntry("ü", None),
    ]
    assert [one.name for one in files.folder_entries(tx, "r")] == [
        "a",
        "a-b",
        "a.txt",
        "a0",
        "b",
    ]
    assert files.folder_entries(tx, "r/b") == []
    assert [one.path for one in files.below(tx, "r/a")] == [
        "r/a/1",
        "r/a/b/2",
        "r/a/b/3",
        "r/a/ü/4",
    ]


def test_a_listing_hops_over_what_lies_below_in_one_statement(tx: Transaction) -> None:
    put(tx, *(f"r/checkpoints/{number}/weights" for number in range(300)), "r/MLmodel")
    statements: list[str] = []
    event.listen(tx.connection.engine, "before_cursor_execute", lambda *arguments: statements.append(arguments[2]))
    assert [one.name for one in files.folder_entries(tx, "r")] == [
        "MLmodel",
        "checkpoints",
    ]
    assert len(statements) == 1


def test_a_listing_reads_no_more_of_a_folder_than_its_name(deps: Deps) -> None:
    """Counted by the database itself: the steps of its program."""
    steps = []
    for deep in (10, 2_000):
        with deps.project(ONE).write() as tx:
            put(tx, *(f"{deep}/a/{number}" for number in range(deep)), f"{deep}/b")
            raw = tx.connection.connection.driver_connection
            if not isinstance(raw, sqlite3.Connection):
                return  # one database is enough to tell, and this is the one that counts its steps
            count = itertools.count()
            raw.set_progress_handler(lambda count=count: next(count) and None, 1)
            assert len(files.folder_entries(tx, str(deep))) == 2
            raw.set_progress_handler(None, 0)
            steps.append(next(count))
    assert steps[1] < 2 * steps[0]


def test_pages_of_a_folder(tx: Transaction) -> None:
    put(tx, "r/a/1", "r/a-b", "r/a.txt", "r/a0/x/y", "r/b", "r/ü")
    put(tx, "q/secret")
    seen: list[str] = []
    token = None
    pages = 0
    while pages == 0 or token:
        found, token = files.folder_page(tx, "r", token=token, size=2)
        seen += [one.name for one in found]
        pages += 1
    assert pages == 3
    assert sorted(seen) == ["a", "a-b", "a.txt", "a0", "b", "ü"]
    _, other = files.folder_page(tx, "r", token=None, size=1)
    with pytest.raises(MltrailError, match="page token"):
        files.folder_page(tx, "q", token=other)
    forged = written_token(["a"], mark_of("files", "r"))
    assert files.folder_page(tx, "r", token=forged)[0][0].name == "a"


def test_a_name_moves_to_the_new_bytes_and_the_old_ones_stay_known(tx: Transaction) -> None:
    files.put(replace(tx, now=1), path="r/f", blob_id="old", size=3, sha256=SHA)
    files.put(replace(tx, now=2), path="r/f", blob_id="new", size=4, sha256=SHA)
    found = files.get(tx, "r/f")
    assert found is not None
    assert (found.blob_id, found.size) == ("new", 4)
    assert files.get(replace(tx, project_id=TWO), "r/f") is None
    forgotten = blobs.unreferenced(tx, before=2, limit=10)
    assert [one.id for one in forgotten] == ["old"]
    assert blobs.unreferenced(tx, before=1, limit=10) == []


def test_a_file_and_a_folder_never_share_a_name(tx: Transaction) -> None:
    put(tx, "r/a/b")
    for path, other in (("r/a", "r/a/b"), ("r/a/b/c", "r/a/b"), ("r/a/b", None), ("r/a/c", None), ("r/a-", None)):
        assert files.clash(tx, path) == other
    assert files.is_folder(tx, "r/a")
    assert not files.is_folder(tx, "r/a/b")
    assert files.clash(replace(tx, project_id=TWO), "r/a") is None


def test_deleting_a_folder_leaves_its_namesakes(tx: Transaction) -> None:
    put(tx, "r/a/1", "r/a/b/2", "r/a-b", "r/a0", "r/ab/3")
    put(tx, "r/a/1", project=TWO)
    files.delete(replace(tx, now=3), "r/a")
    assert [one.name for one in files.folder_entries(tx, "r")] == ["a-b", "a0", "ab"]
    assert files.get(replace(tx, project_id=TWO), "r/a/1") is not None


def test_deleting_a_file_looks_at_no_other_folder(tx: Transaction) -> None:
    seen: list[tuple[str, object]] = []
    event.listen(tx.connection, "before_cursor_execute", lambda *arguments: seen.append((arguments[2], arguments[3])))
    files.delete(replace(tx, now=3), "r/a")
    if tx.dialect == "postgresql":
        return  # which plans by what is there, and nothing is
    for statement, values in seen.copy():
        plan = [row[3] for row in tx.connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)]
        assert not [step for step in plan if step.endswith("(project_id=?)")], plan


def test_a_copy_shares_the_bytes(tx: Transaction) -> None:
    put(tx, "r/m/1", "r/m/d/2")
    files.copy(tx, files.below(tx, "r/m"), source="r/m", target="p")
    files.delete(replace(tx, now=3), "r")
    assert [one.path for one in files.below(tx, "p")] == ["p/1", "p/d/2"]


def test_a_blob_from_another_store_keeps_its_id(deps: Deps) -> None:
    """An attempt that was killed has left half of it; another one repeats it."""
    blob_id = "0a" * 16
    assert is_blob_id(blob_id)
    assert not any(is_blob_id(one) for one in ("../" + "0" * 29, blob_id.upper(), blob_id[:-1], f"{blob_id}\n"))
    with pytest.raises(MltrailError):
        deps.files.put(ONE, BytesIO(b"much too large"), limit=3, blob_id=blob_id)
    half = deps.settings.artifacts_path / "1" / "0a" / f"{blob_id}.part"
    half.write_bytes(b"ha")
    for content in (b"half", b"whole"):
        stored = deps.files.put(ONE, BytesIO(content), blob_id=blob_id)
        assert (stored.blob_id, stored.size) == (blob_id, len(content))
        assert b"".join(deps.files.get(ONE, blob_id, length=100)) == content
