"""Semantic versions: https://semver.org/spec/v2.0.0.html."""

import re
from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from functools import total_ordering

from .errors import invalid

MAX_LENGTH = 255
FIRST = "1.0.0"

_NUMBER = r"0|[1-9][0-9]*"
_PRE_PART = rf"(?:{_NUMBER}|[0-9]*[A-Za-z-][0-9A-Za-z-]*)"
_SEMVER = re.compile(
    rf"(?P<major>{_NUMBER})\.(?P<minor>{_NUMBER})\.(?P<patch>{_NUMBER})"
    rf"(?:-(?P<pre>{_PRE_PART}(?:\.{_PRE_PART})*))?"
    r"(?:\+(?P<build>[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?"
)


class Bump(StrEnum):
    MAJOR = "major"
    MINOR = "minor"
    PATCH = "patch"


@total_ordering
@dataclass(frozen=True, slots=True, eq=False)
class Semver:
    """One version. Compared by precedence: build metadata does not count, so `1.0.0+a == 1.0.0+b`."""

    major: int
    minor: int
    patch: int
    pre: tuple[str, ...] = ()
    build: str = ""

    def __str__(self) -> str:
        pre = f"-{'.'.join(self.pre)}" if self.pre else ""
        build = f"+{self.build}" if self.build else ""
        return f"{self.major}.{self.minor}.{self.patch}{pre}{build}"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Semver) and self._precedence() == other._precedence()

    def __lt__(self, other: "Semver") -> bool:
        return self._precedence() < other._precedence()

    def __hash__(self) -> int:
        return hash(self._precedence())

    def bump(self, part: Bump) -> "Semver":
        """Make the next release. A pre-release comes before its release, so `1.2.3-rc.1` is followed by `1.2.3`,
        and `2.0.0-rc.1` by `2.0.0`, whichever part is raised.
        """
        if self.pre and self._is_first_of(part):
            return Semver(self.major, self.minor, self.patch)
        if part is Bump.MAJOR:
            return Semver(self.major + 1, 0, 0)
        if part is Bump.MINOR:
            return Semver(self.major, self.minor + 1, 0)
        return Semver(self.major, self.minor, self.patch + 1)

    def _is_first_of(self, part: Bump) -> bool:
        if part is Bump.MAJOR:
            return self.minor == 0 and self.patch == 0
        if part is Bump.MINOR:
            return self.patch == 0
        return True

    def _precedence(self) -> tuple[int, int, int, bool, tuple[tuple[bool, int, str], ...]]:
        # A release is higher than its pre-releases; numbers are lower than words, more parts higher than fewer.
        parts = tuple((not part.isdigit(), int(part) if part.isdigit() else 0, part) for part in self.pre)
        return self.major, self.minor, self.patch, not self.pre, parts


def read(text: str) -> Semver | None:
    """Read a version; None for anything else."""
    match = _SEMVER.fullmatch(text) if len(text) <= MAX_LENGTH else None
    if match is None:
        return None
    pre = tuple(match["pre"].split(".")) if match["pre"] else ()
    return Semver(int(match["major"]), int(match["minor"]), int(match["patch"]), pre, match["build"] or "")


def parse(text: str) -> Semver:
    """Read a version. Raises INVALID for anything else."""
    found = read(text)
    if found is None:
        raise invalid(
            f"'{text[:60]}' is not a semantic version. Write it as in 1.4.0 or 2.0.0-rc.1, without a leading 'v', "
            f"in at most {MAX_LENGTH} characters: https://semver.org"
        )
    return found


def following(highest: str | None, *, taken: Collection[str]) -> str:
    """Return the version after `highest`, as GitLab does: 1.0.0 first, then one patch more; versions that are taken are
    skipped. Raises INVALID when the next one would be too long.
    """
    found = parse(FIRST) if highest is None else parse(highest).bump(Bump.PATCH)
    while str(found) in taken:
        found = found.bump(Bump.PATCH)
    return str(parse(str(found)))
