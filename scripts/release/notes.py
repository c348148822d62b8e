"""Print the release notes of a version: its section of CHANGELOG.md.

python -m scripts.release.notes VERSION [--home URL] [--unreleased]

Links to files of the repository become links to the tag, in the project at the given URL. `--unreleased` prints a
section that has no date yet, for rehearsals.
"""

import argparse
import re
import sys
from datetime import date
from pathlib import Path

ROOT = Path(__file__).parents[2]
CHANGELOG = ROOT / "CHANGELOG.md"

_HEADING = re.compile(r"^## (?P<version>\S+) \((?P<date>[^)]*)\)$", re.MULTILINE)
_RELATIVE = re.compile(r"(\[[^\]]*\])\((?![a-z]+:|#)([^)\s]+)\)")
_ENTRY = re.compile(r"^- ", re.MULTILINE)


class NotesError(Exception):
    """The changelog has no entry that can be released; the message says what to do."""


def section(changelog: str, version: str, *, unreleased: bool = False) -> str:
    """The text of a version's section, without its heading. Raises `NotesError`."""
    headings = list(_HEADING.finditer(changelog))
    found = next((one for one in headings if one["version"] == version), None)
    if found is None:
        known = ", ".join(one["version"] for one in headings)
        raise NotesError(
            f"CHANGELOG.md has no section '## {version} (DATE)', only for {known}. Write one, commit, and move the tag."
        )
    if not unreleased:
        _check_date(version, found["date"])
    end = next((one.start() for one in headings if one.start() > found.start()), len(changelog))
    text = changelog[found.end() : end].strip()
    if not _ENTRY.search(text):
        raise NotesError(f"The section of {version} in CHANGELOG.md has no entry. Say what has changed, and for whom.")
    return text + "\n"


def notes(changelog: str, version: str, home: str, *, unreleased: bool = False) -> str:
    """The description of a Release in GitLab. Raises `NotesError`."""
    blob = f"{home}/-/blob/{version}"
    text = _RELATIVE.sub(rf"\1({blob}/\2)", section(changelog, version, unreleased=unreleased))
    return (
        f"{text}\n"
        f"**Before you upgrade**, read [how to upgrade]({blob}/docs/how-to/upgrade.md). "
        f"[How to verify]({blob}/docs/how-to/verify-a-release.md) the files and images of this release.\n"
    )


def _check_date(version: str, written: str) -> None:
    try:
        date.fromisoformat(written)
    except ValueError as error:
        raise NotesError(
            f"In CHANGELOG.md, {version} is '{written}'. Write the day of its release: '## {version} (2030-01-31)'."
        ) from error


def main() -> int:
    parser = argparse.ArgumentParser(description="Print the release notes of a version.")
    parser.add_argument("version")
    parser.add_argument("--home", default="..", metavar="URL", help="the project's address, for links")
    parser.add_argument("--unreleased", action="store_true", help="allow a section without a date")
    arguments = parser.parse_args()
    try:
        text = notes(CHANGELOG.read_text(), arguments.version, arguments.home, unreleased=arguments.unreleased)
    except NotesError as error:
        print(error, file=sys.stderr)
        return 1
    print(text, end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
