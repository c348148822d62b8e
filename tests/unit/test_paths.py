"""Artifact paths stay in their owner's folder, however they are spelt."""

import posixpath
from urllib.parse import quote, unquote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mltrail_server.domain import paths
from mltrail_server.domain.errors import Code, MltrailError

SEGMENTS = st.one_of(
    st.sampled_from(
        [
            *(
                "..",
                ".",
                "",
                "a",
                "b c",
                "~",
                "a:b",
                "%",
                "#",
                "\\",
                "..\\..",
                "\x00",
                "\x7f",
                "C:",
                "CON",
                "...",
                "-rf",
            ),
            *("%2e%2e", "%2E.", "%252e", "%2f", "%5c", "%00", "%c0%ae", "%u002e", "a%2f..%2f..", "%25252e%25252e"),
            *("é", "…", "\u2025", "\uff0e\uff0e", "\u2215", "\uff3c", "\u202e", "\ufffd", "\ud800", "e\u0301"),
        ]
    ),
    st.text(max_size=8),
)


def without_dots(path: str) -> str:
    return "/".join(part for part in path.removesuffix("/").split("/") if part != ".")


@settings(max_examples=1000, deadline=None)
@given(st.lists(SEGMENTS, min_size=1, max_size=6).map("/".join), st.integers(0, 3))
def test_no_sequence_of_segments_leaves_the_folder(spelt: str, escaped: int) -> None:
    for _ in range(escaped):
        spelt = quote(spelt, safe="/", errors="replace")
    try:
        cleaned = paths.clean(spelt)
    except MltrailError as error:
        refused = error
    else:
        assert cleaned == without_dots(spelt)
        assert paths.clean(cleaned) == cleaned
        # Whoever unescapes it once more, and however often, is still inside; also where a backslash divides.
        reading = cleaned
        for _ in range(8):
            for division in (reading, reading.replace("\\", "/")):
                assert posixpath.normpath(posixpath.join("/owner", division)).startswith("/owner")
                assert not division.startswith("/")
                assert ".." not in division.split("/")
            reading = unquote(reading)
        # Behind an owner's folder it is the same path, and the owner that the folder names.
        owner = paths.Owner(3, eid="abc")
        assert paths.owner_of(paths.join(owner.folder, cleaned)) == (owner, cleaned)
        return
    assert refused.code is Code.INVALID


@given(st.text())
def test_any_text_has_an_owner_or_is_refused(text: str) -> None:
    try:
        owner, inner = paths.owner_of(text)
    except MltrailError as error:
        refused = error
    else:
        assert paths.join(owner.folder, inner) == without_dots(text)
        return
    assert refused.code is Code.INVALID


@pytest.mark.parametrize(("path", "plain"), [(".", ""), ("./", ""), ("./a", "a"), ("a/./b", "a/b"), ("a/.", "a")])
def test_a_dot_is_where_one_is(path: str, plain: str) -> None:
    assert paths.clean(path) == plain


IMAGE = "images/loss%step%0%timestamp%1763690000000%5c41fe0e-5b1f-4c6b-8a3f-0c9d4b1f7a11.png"


@pytest.mark.parametrize(
    "path", ["a", "a/b.txt", "ünï/✓", "a b", "a+b", "a..b", "...", "-", "100%", "a%20b", IMAGE, "a" * 2000]
)
def test_plain_names_pass_unchanged(path: str) -> None:
    assert paths.clean(path) == path


@pytest.mark.parametrize(
    "path", ["a\ud800", "\ufffd", "a\nb", "é" * 1001, "%252525252525252525252525252e%2e", "%2fetc", "a%2f..%5c..%5cb"]
)
def test_names_that_could_be_misread_are_refused(path: str) -> None:
    with pytest.raises(MltrailError, match="Invalid path"):
        paths.clean(path)


def test_owners() -> None:
    assert paths.owner_of("3/abc/artifacts/x/y") == (paths.Owner(3, eid="abc"), "x/y")
    assert paths.owner_of("3/models/m-1/artifacts") == (paths.Owner(3, logged_model_id="m-1"), "")
    for path in ("", "x/abc/artifacts/y", "3/abc/y", "3/abc", "3/a b/artifacts/y", "3/models/artifacts/y"):
        with pytest.raises(MltrailError):
            paths.owner_of(path)


@pytest.mark.parametrize("path", [".. /x", " ../x", "a/.. ", "C:/Users/x", "a/c:", "%43:/x", " "])
def test_what_leaves_the_folder_on_windows_is_no_name(path: str) -> None:
    with pytest.raises(MltrailError, match="its parts must be names"):
        paths.clean(path)
