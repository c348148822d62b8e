"""The tutorial, done exactly as written: its commands in a shell, its button in a browser."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.chromium import ALL, findings, open_page
from tests.places import ROOT, TRAIN_PYTHON
from tests.processes import PATIENCE_SECONDS, free_port, wait_until

pytestmark = [pytest.mark.browser, pytest.mark.train, pytest.mark.e2e]

PAGE = (ROOT / "docs/tutorial.md").read_text()
BLOCK = re.compile(r"^(<!-- not run.*-->\n)?```(sh|text)\n(.*?)^```", re.DOTALL | re.MULTILINE)
PORTS = ("5000", "5080")


@dataclass
class Reader:
    """Somebody who does what the page says, in one shell."""

    folder: Path
    ports: tuple[int, int]
    printed: str = ""

    def here(self, text: str) -> str:
        """A text of the page with the ports of this playground."""
        for stands, here in zip(PORTS, self.ports, strict=True):
            text = text.replace(f"127.0.0.1:{stands}", f"127.0.0.1:{here}")
        return text

    def run(self, block: str) -> None:
        script = f"set -e\n{self.here(block)}\npwd >'{self.folder / 'pwd'}'\n"
        where = self.folder / "pwd"
        ran = subprocess.run(
            ["bash", "-c", script],
            cwd=where.read_text().strip() if where.exists() else self.folder,
            env={name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ} | {"LANG": "C.UTF-8"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            check=False,
        )
        self.printed = ran.stdout
        # A push whose pipeline fails is pushed all the same.
        assert ran.returncode == 0, ran.stdout

    def sees(self, block: str) -> None:
        """Check that each line that the page shows has been printed."""
        printed = [line.rstrip() for line in self.printed.splitlines()]
        assert [line for line in self.here(block).splitlines() if line.rstrip() not in printed] == []


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    """A reader in a checkout whose playground has started."""
    (tmp_path / ".venv-train").symlink_to(TRAIN_PYTHON.parents[1])
    reader = Reader(tmp_path, (free_port(), free_port()))
    command = [sys.executable, "-m", "scripts.playground", "--train-python", str(TRAIN_PYTHON)]
    command += ["--port", str(reader.ports[0]), "--gitlab-port", str(reader.ports[1])]
    command += ["--folder", str(tmp_path / ".playground")]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8"
    ) as playground:
        assert playground.stdout
        for line in playground.stdout:
            reader.printed += line
            if line.startswith("Ctrl-C"):
                break
        try:
            yield reader
        finally:
            playground.terminate()


def test_the_tutorial(reader: Reader, chromium: Browser, axe: str) -> None:
    sections = re.split(r"^## ", PAGE, flags=re.MULTILINE)[1:]
    start, train, worse, fix, use, _ = sections
    do(reader, start, train, worse)
    page = open_page(chromium)
    page.goto(address(reader, worse))
    expect(page.get_by_text("Merge blocked: the pipeline must succeed.")).to_be_visible()
    look_until(page, "Blocks the merge: val_auc of churn is worse")
    assert page.get_by_role("button", name="Merge").count() == 0
    assert findings(page, axe, ALL) == []
    do(reader, fix)
    look_until(page, "Does not block: nothing is clearly worse")
    assert page.locator("article").count() == 1
    page.get_by_role("button", name="Merge").click()
    expect(page.locator("h1 .success")).to_be_visible(timeout=PATIENCE_SECONDS * 1000)
    look_until(page, "is now champion, was 1.0.0")
    do(reader, use)
    assert re.search(r"^\[(True|False)( +(True|False)){4}\]$", reader.printed, re.MULTILINE), reader.printed
    see_the_version(reader, page, address(reader, use))
    page.close()


def look_until(page: Page, comment: str) -> None:
    """Load the page until it has a comment, which is written some time after the pipeline has ended."""

    def is_there() -> bool:
        page.reload()
        return page.get_by_text(comment).is_visible()

    wait_until(is_there, f"a comment says {comment!r}")


def do(reader: Reader, *sections: str) -> None:
    for section in sections:
        for not_run, language, block in BLOCK.findall(section):
            if language == "text":
                reader.sees(block)
            elif not not_run:
                reader.run(block)


def address(reader: Reader, section: str) -> str:
    """The page that a section tells the reader to open."""
    found = re.search(r"`(http://127\.0\.0\.1:\S+)`", section)
    assert found
    return reader.here(found[1])


def see_the_version(reader: Reader, page: Page, model: str) -> None:
    page.goto(model)
    page.get_by_role("link", name="Sign in with GitLab").or_(
        page.get_by_role("button", name="Sign in with GitLab")
    ).first.click()
    page.wait_for_url(f"**127.0.0.1:{reader.ports[0]}/team/churn/**")
    expect(page.get_by_text("1.1.0").first).to_be_visible()


def test_the_contract_file_that_the_page_shows_is_the_example_s() -> None:
    shown = re.search(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    assert shown
    lines = (ROOT / "examples/churn/.mltrail.yml").read_text().splitlines(keepends=True)
    assert shown[1] == "".join(line for line in lines if not line.startswith("#"))


def test_a_port_to_which_no_browser_goes_is_refused(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "scripts.playground", "--train-python", str(TRAIN_PYTHON), "--port", "6000"]
    ran = subprocess.run([*command, "--folder", str(tmp_path)], cwd=ROOT, capture_output=True, check=False, text=True)
    assert (ran.returncode, ran.stderr) == (
        1,
        "playground: Browsers block port 6000; choose others: make playground PORT=5100\n",
    )
