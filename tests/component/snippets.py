"""The YAML blocks of the docs, and the projects into which users paste them."""

import re
from dataclasses import dataclass
from functools import cache
from textwrap import dedent
from typing import Any

import yaml

from tests.component.creation import merged
from tests.places import ROOT

PAGES = ["README.md", *sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs").rglob("*.md"))]
EXAMPLES = sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("examples/*/.gitlab-ci.yml"))

# Blocks for other files have one of these keys: the contract, a Kubernetes manifest, the map of an import.
OTHERS = {"version", "apiVersion", "source", "services", "externalUrl", "networkPolicy"}
OURS = {"train", "mltrail-report", "mltrail-promote"}
# The rows of the how-to's table, by how it calls them.
ROWS = {
    "merge request (detached, merged results, merge train)": ["merge request", "merged results", "merge train"],
    "branch, with a merge request or without": ["branch", "branch of a merge request", "schedule of another branch"],
    "default branch, by a push or merge": ["default branch"],
    "default branch, by a schedule, a trigger, the API, another project or by hand": [
        *("schedule", "by a trigger", "by the API", "of another project", "by hand"),
    ],
    "tag": ["tag"],
    "child pipeline of a merge request": ["child of a merge request"],
    "child pipeline of the default branch": ["child of the default branch"],
    "merge request of a fork, in the fork or run here by a member": ["fork, in the fork", "fork, run by a member"],
}


@dataclass(frozen=True)
class Snippet:
    page: str
    line: int
    config: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


@cache
def snippets() -> list[Snippet]:
    """All blocks that belong into a `.gitlab-ci.yml`."""
    found = []
    for page in [*PAGES, *EXAMPLES]:
        text = (ROOT / page).read_text()
        blocks = [(0, text)] if page.endswith(".yml") else _blocks(text)
        for at, block in blocks:
            config = yaml.safe_load(block)
            if isinstance(config, list):
                config = {"include": config}
            if OTHERS.isdisjoint(config):
                found.append(Snippet(page, text.count("\n", 0, at) + 1, config))
    return found


def first_of(page: str, holding: str = "include") -> dict[str, Any]:
    """The first block of a page that has this keyword or job."""
    return next(one.config for one in snippets() if one.page == page and holding in one.config)


def reuse() -> dict[str, Any]:
    """The block of "Without training again"."""
    page = "docs/how-to/promote.md"
    return next(one.config for one in snippets() if one.page == page and {"include", "train"} <= one.config.keys())


def completed(snippet: dict[str, Any]) -> dict[str, Any]:
    """What a user has who follows the README and then puts a snippet in: its words win."""
    readme = first_of("README.md")
    config: dict[str, Any] = merged(readme, snippet)
    if "confirm" in config:
        config["sweep"] = readme["train"]
    if not re.search(r"/(pipeline|track)@", str(config["include"])):
        (one,) = readme["include"]
        track = {
            "component": one["component"].replace("/pipeline@", "/track@"),
            "inputs": {"server": one["inputs"]["server"]},
        }
        config["include"] = [*config["include"], track]
    return config


def text_of(config: dict[str, Any]) -> str:
    return yaml.safe_dump(config, sort_keys=False)


def _blocks(text: str) -> list[tuple[int, str]]:
    found = re.finditer(r"^ *```yaml\n(.*?)^ *```", text, re.DOTALL | re.MULTILINE)
    return [(match.start(), dedent(match[1])) for match in found]


@cache
def table() -> dict[str, set[str]]:
    """What the how-to's table promises, by kind of pipeline."""
    page = (ROOT / "docs/how-to/add-to-a-pipeline.md").read_text()
    found = re.search(r"<!-- jobs of each kind of pipeline -->\n(.*?)<!-- end -->", page, re.DOTALL)
    assert found
    promised = {}
    for line in found[1].splitlines()[2:]:
        name, *cells = (cell.strip() for cell in line.strip("|").split("|"))
        for kind in ROWS[name]:
            promised[kind] = {job for job, cell in zip(sorted(OURS, reverse=True), cells, strict=True) if cell == "yes"}
    return promised
