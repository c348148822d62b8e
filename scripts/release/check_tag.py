"""Refuse a tag that can't be released, before anything is built: `python -m scripts.release.check_tag TAG`.

The tag, the code, the templates' image, the chart and the README must name the same version, and the changelog must
have an entry with a date.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import yaml

from mltrail_ci import __version__
from scripts import image_name
from scripts.release import notes

ROOT = Path(__file__).parents[2]
CHART = ROOT / "deploy/helm/mltrail/Chart.yaml"

_SEMVER = re.compile(r"\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?")
"""What GitLab's Catalog and registries accept: no leading v, and no build metadata."""


def problems(tag: str) -> Iterator[str]:
    """Each sentence says what to change."""
    if not _SEMVER.fullmatch(tag):
        yield f"{tag} is not a semantic version, such as 1.2.3 or 1.2.3-rc.1: the Catalog accepts no other tags."
    if tag != __version__:
        yield f"The code is version {__version__}: change component/mltrail_ci/__init__.py, or the tag."
    if image_name.main() != 0:
        yield "The templates name another image: see above."
    included = set(re.findall(r"/(?:pipeline|track|report|promote|doctor)@(\S+)$", _readme(), re.MULTILINE))
    if included - {tag}:
        yield f"The README includes version {', '.join(sorted(included))}: write {tag}."
    chart = yaml.safe_load(CHART.read_text())
    for key in ("version", "appVersion"):
        if str(chart.get(key)) != tag:
            yield f"The chart's {key} is {chart.get(key)}: write {tag} into {CHART.relative_to(ROOT)}."
    try:
        notes.section(notes.CHANGELOG.read_text(), tag)
    except notes.NotesError as error:
        yield str(error)


def _readme() -> str:
    return (ROOT / "README.md").read_text()


def main(arguments: list[str]) -> int:
    (tag,) = arguments
    found = list(problems(tag))
    for problem in found:
        print(problem, file=sys.stderr)
    if not found:
        print(f"{tag} can be released.")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
