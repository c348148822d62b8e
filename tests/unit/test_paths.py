"""Artifact paths stay in their owner's folder, however they are spelt."""

import posixpath
import random
from urllib.parse import quote, unquote

import pytest

from mltrail_server.domain import paths
from mltrail_server.domain.errors import MltrailError

PIECES = [
    "..",
    ".",
    "",
    "a",
    "b c",
    "%2e%2e",
    "%252e",
    "%2f",
    "%5c",
    "\\",
    "é",
    "…",
    "\u2025",
    "\uff0e\uff0e",
    "~",
    "a:b",
    "\x00",
    "#",
    "%",
]


def test_no_sequence_of_segments_leaves_the_folder() -> None:
    random_ = random.Random(7)
    accepted = 0
    for _ in range(20_000):
        spelt = "/".join(random_.choice(PIECES) for _ in range(random_.randint(1, 6)))
        if random_.random() < 0.3:
            spelt = quote(spelt, safe="/")
        try:
            cleaned = paths.clean(spelt)
        except MltrailError:
            continue
        accepted += 1
        assert cleaned == spelt.removesuffix("/")
        assert paths.clean(cleaned) == cleaned
        # Whoever unescapes it once more, and however often, is still inside; also where a backslash divides.
        for _ in range(8):
            for reading in (cleaned, cleaned.replace("\\", "/")):
                assert posixpath.normpath(posixpath.join("/owner", reading)).startswith("/owner")
                assert not reading.startswith("/")
                assert ".." not in reading.split("/")
            cleaned = unquote(cleaned)
    assert accepted > 100


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
