"""Semantic versions: https://semver.org/spec/v2.0.0.html."""

import itertools

import pytest

from mltrail_server.domain import semver
from mltrail_server.domain.errors import MltrailError
from mltrail_server.domain.semver import Bump, parse

# The order of paragraph 11 of the specification, with neighbours of its own.
ASCENDING = [
    "0.9.10",
    "1.0.0-0",
    "1.0.0-2",
    "1.0.0-10",
    "1.0.0-alpha",
    "1.0.0-alpha.1",
    "1.0.0-alpha.beta",
    "1.0.0-beta",
    "1.0.0-beta.2",
    "1.0.0-beta.11",
    "1.0.0-rc.1",
    "1.0.0",
    "1.0.1",
    "1.2.0",
    "1.10.0",
    "2.0.0",
]


def test_precedence_is_the_specifications() -> None:
    for lower, higher in itertools.combinations(ASCENDING, 2):
        assert parse(lower) < parse(higher)
        assert not parse(higher) < parse(lower)


def test_build_metadata_does_not_count() -> None:
    assert parse("1.0.0+linux") == parse("1.0.0+mac.7")
    assert str(parse("1.0.0-rc.1+linux.7")) == "1.0.0-rc.1+linux.7"


@pytest.mark.parametrize("text", [*ASCENDING, "1.0.0--.-", "1.0.0+001", "10.20.30", "1.1.2-prerelease+meta"])
def test_what_is_read_is_written_the_same(text: str) -> None:
    assert str(parse(text)) == text


NOT_SEMANTIC = [
    *["", "1", "1.2", "1.2.3.4", "v1.2.3", "01.2.3", "1.2.3-", "1.2.3-01", "1.2.3-a..b", "1.2.3+", "1.2.3 ", "1.2.3\n"],
    *["1.2.-3", "1.2.\u0663", "1.2.3-ä", "1.0." + "9" * 300],
]


@pytest.mark.parametrize("text", NOT_SEMANTIC)
def test_what_is_no_semantic_version_is_refused(text: str) -> None:
    assert semver.read(text) is None
    with pytest.raises(MltrailError, match="not a semantic version"):
        parse(text)


@pytest.mark.parametrize(
    ("before", "part", "after"),
    [
        ("1.2.3", Bump.PATCH, "1.2.4"),
        ("1.2.3", Bump.MINOR, "1.3.0"),
        ("1.2.3", Bump.MAJOR, "2.0.0"),
        ("1.2.3+build", Bump.PATCH, "1.2.4"),
        ("1.2.3-rc.1", Bump.PATCH, "1.2.3"),
        ("1.2.3-rc.1", Bump.MINOR, "1.3.0"),
        ("1.3.0-rc.1", Bump.MINOR, "1.3.0"),
        ("2.0.0-rc.1", Bump.MAJOR, "2.0.0"),
        ("2.1.0-rc.1", Bump.MAJOR, "3.0.0"),
    ],
)
def test_bump(before: str, part: Bump, after: str) -> None:
    assert str(parse(before).bump(part)) == after


def test_the_first_version_and_the_one_after() -> None:
    assert semver.following(None, taken=()) == "1.0.0"
    assert semver.following("1.0.9", taken={"1.0.9"}) == "1.0.10"
    assert semver.following("1.0.9", taken={"1.0.10", "1.0.11"}) == "1.0.12"
