"""Listings of servers, which readers of files share: names that lead elsewhere, and folders without an end."""

import pytest

from mltrail_server.domain.transfer import Entity, Findings, Loss
from mltrail_server.sources.http import LostError
from mltrail_server.sources.listings import files_below, has_plain_names
from mltrail_server.sources.reading import Json


@pytest.mark.parametrize("path", ["a", "model/a b%20?.bin", "..a/b..", "/".join("a" * 200)])
def test_plain_names(path: str) -> None:
    assert has_plain_names(path)


@pytest.mark.parametrize("path", ["", "/etc/passwd", "a//b", "a/", "./a", "a/..", "..", "a/../../b"])
def test_other_names(path: str) -> None:
    assert not has_plain_names(path)


def test_files_come_with_their_sizes_folder_by_folder() -> None:
    pages: dict[str, list[list[Json]]] = {
        "": [[{"path": "b", "file_size": "3"}, {"path": "a/", "is_dir": True}], [{"path": "top/A"}]],
        "a/": [[{"path": "top/a/c", "file_size": 0}]],
    }
    findings = Findings()
    assert list(files_below(pages.__getitem__, "run 1", findings)) == [("a/c", 0), ("b", 3), ("A", None)]
    assert findings.kept == []


def test_a_name_that_leads_elsewhere_is_refused_and_the_rest_is_read() -> None:
    listed: list[Json] = [{"path": "../x"}, {"path": "a/..", "is_dir": True}, {"path": ""}, {"path": "fine"}]
    findings = Findings()
    assert list(files_below(lambda _: [listed], "run 1", findings)) == [("fine", None)]
    assert [(one.loss, one.entity, one.owner) for one in findings.kept] == [(Loss.REFUSED, Entity.FILE, "run 1")] * 3


@pytest.mark.parametrize("entry", [{}, {"path": "a", "file_size": "many"}, "a", None, ["path"]])
def test_entries_that_are_no_files(entry: Json) -> None:
    with pytest.raises(LostError, match="can't be read"):
        list(files_below(lambda _: [[entry]], "run 1", Findings()))


def test_a_folder_that_contains_itself_ends() -> None:
    with pytest.raises(LostError, match="have no end"):
        list(files_below(lambda _: [[{"path": "a", "is_dir": True}]], "run 1", Findings()))
