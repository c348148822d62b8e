"""Several versions side by side, and the way from one to another."""

import json
import subprocess
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect
from scripts.docs_site import versions

from tests.chromium import open_page
from tests.docs.conftest import REPOSITORY
from tests.static_files import serving

INDEX = "# The documentation\n\n- [One](one.md)\n\n## Pages\n\n- [One](one.md)\n"


def test_the_newest_patch_of_each_release_is_kept() -> None:
    tags = ["0.1.0", "0.1.2", "0.1.10", "0.2.0", "0.10.0", "1.0.0-rc.1", "v1.0.0", "nightly"]
    assert versions.chosen(tags) == ["0.10.0", "0.2.0", "0.1.10"]


@pytest.mark.browser
def test_a_reader_changes_the_version(chromium: Browser, tmp_path: Path) -> None:
    root = tmp_path / "repository"
    (root / "docs/images").mkdir(parents=True)
    git(root, "init", "--quiet", "--initial-branch=main")
    (root / "docs/images/keep").touch()
    for tag, word in (("0.1.0", "first"), ("0.2.0", "second"), (None, "third")):
        (root / "docs/README.md").write_text(INDEX)
        (root / "docs/one.md").write_text(f"# One\n\nThe {word} text.\n")
        git(root, "add", "--all")
        git(root, "commit", "--quiet", "--message", word)
        if tag:
            git(root, "tag", tag)
    public = tmp_path / "public"
    versions.build_all(root, public, tmp_path / "work", REPOSITORY)
    assert json.loads((public / "versions.json").read_text()) == {
        "versions": ["latest", "0.2.0", "0.1.0"],
        "newest": "0.2.0",
    }
    with serving(public) as url:
        page = open_page(chromium)
        page.goto(f"{url}/")
        page.wait_for_url("**/0.2.0/index.html")
        page.goto(f"{url}/0.1.0/one.html")
        expect(page.get_by_text("The first text.")).to_be_visible()
        expect(page.get_by_text("There is a newer version")).to_be_visible()
        page.get_by_label("Version").select_option("0.2.0")
        page.wait_for_url("**/0.2.0/one.html")
        expect(page.get_by_text("The second text.")).to_be_visible()
        page.close()


def git(folder: Path, *arguments: str) -> None:
    who = ["-c", "user.name=Dana", "-c", "user.email=dana@example.com"]
    subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True)
