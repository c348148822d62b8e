"""All versions side by side: a folder for the newest patch of each release, and `latest` for the default branch."""

import html
import json
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from . import build

_RELEASE = re.compile(r"\d+\.\d+\.\d+")


def build_all(root: Path, to: Path, work: Path, repository: str) -> None:
    """Build into `to`, which is replaced version by version.

    A released version is built as it was, so a warning about it is none that anybody can mend: only `latest` is strict.
    """
    to.mkdir(parents=True, exist_ok=True)
    build.site(root, to / "latest", work / "source", f"{repository}/-/blob/main", version="latest")
    built = []
    for tag in chosen(tags(root)):
        with checkout(root, tag, work / "trees" / tag) as tree:
            if (tree / "docs/README.md").exists():
                where = f"{repository}/-/blob/{tag}"
                build.site(tree, to / tag, work / "source", where, version=tag, strict=False)
                built.append(tag)
    write_index(to, built)


def tags(root: Path) -> list[str]:
    listed = subprocess.run(["git", "tag", "--list"], cwd=root, check=True, capture_output=True, text=True)
    return listed.stdout.split()


def chosen(tags: list[str]) -> list[str]:
    """The newest patch of each minor version, newest first. Tags that are not released versions are left out."""
    newest: dict[tuple[int, ...], tuple[int, ...]] = {}
    for tag in tags:
        if _RELEASE.fullmatch(tag):
            numbers = tuple(map(int, tag.split(".")))
            newest[numbers[:2]] = max(numbers, newest.get(numbers[:2], ()))
    return [".".join(map(str, numbers)) for numbers in sorted(newest.values(), reverse=True)]


@contextmanager
def checkout(root: Path, tag: str, folder: Path) -> Iterator[Path]:
    """The files of a tag, in a temporary folder."""
    subprocess.run(["git", "worktree", "add", "--quiet", "--force", "--detach", folder, tag], cwd=root, check=True)
    try:
        yield folder
    finally:
        subprocess.run(["git", "worktree", "remove", "--force", folder], cwd=root, check=True)


def write_index(to: Path, released: list[str]) -> None:
    """Write what the switcher reads, and a page that leads to the newest release."""
    (to / "versions.json").write_text(
        json.dumps({"versions": ["latest", *released], "newest": [*released, "latest"][0]})
    )
    first = html.escape([*released, "latest"][0])
    links = "".join(f'<li><a href="{one}/index.html">{one}</a></li>' for one in map(html.escape, ["latest", *released]))
    page = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>{head}'
        '<meta name="viewport" content="width=device-width"></head><body><h1>{title}</h1>{body}</body></html>\n'
    )
    refresh = f'<meta http-equiv="refresh" content="0; url={first}/index.html">'
    body = f"<p>The documentation of mltrail, by version:</p><ul>{links}</ul>"
    (to / "index.html").write_text(page.format(title="mltrail", head=refresh, body=body))
    missing = "<p>This page does not exist, or not in this version. <a href='./'>Start at the beginning.</a></p>"
    (to / "404.html").write_text(page.format(title="Page not found", head="", body=missing))
