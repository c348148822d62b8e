"""A full file system gives the client an error in words, and nothing of the file is left."""

import io
import os
import resource
from pathlib import Path

import pytest

from mltrail_server.artifacts.base import CHUNK
from mltrail_server.artifacts.local import LocalFiles
from mltrail_server.domain.errors import Code, MltrailError
from mltrail_server.domain.ids import ProjectId


def test_a_store_that_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "files").write_text("in the way")
    with pytest.raises(MltrailError, match="can't store files at present") as caught:
        LocalFiles(tmp_path / "files").put(ProjectId(1), io.BytesIO(b"content"))
    assert caught.value.code is Code.UNAVAILABLE


@pytest.mark.parametrize("announced", [True, False])
@pytest.mark.parametrize("size", [5_000_000, 1_000_100, 100_100])
def test_a_file_system_that_takes_no_more(tmp_path: Path, size: int, *, announced: bool) -> None:
    """The last piece of a file may be taken in part, which is no error to the operating system."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (min(1_000_000, size // 1000 * 1000), before[1]))
    try:
        with pytest.raises(MltrailError, match="File too large"):
            LocalFiles(tmp_path).put(ProjectId(1), io.BytesIO(b"x" * size), size=size if announced else None)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_store_that_is_to_survive_a_power_failure_waits_for_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[Path] = []
    fsync = os.fsync

    def watched(number: int) -> None:
        synced.append(Path(f"/proc/self/fd/{number}").readlink())
        fsync(number)

    monkeypatch.setattr(os, "fsync", watched)
    LocalFiles(tmp_path / "quick").put(ProjectId(1), io.BytesIO(b"content"), size=7)
    assert synced == []
    files = LocalFiles(tmp_path, durable=True)
    stored = files.put(ProjectId(1), io.BytesIO(b"content"), size=7)
    *above, content, folder = synced
    assert content.name == stored.blob_id, "the content"
    assert folder == content.parent, "and the name"
    assert above == [folder.parent, tmp_path], "and the names of folders that are new"
    synced.clear()
    stored = files.put(ProjectId(1), io.BytesIO(b"x" * 2 * CHUNK), size=2 * CHUNK)
    content, folder = synced[-2:]
    assert content.name == f"{stored.blob_id}.part", "the content of a large one, before it has its name"
    assert folder == content.parent, "and the name"
