"""A hand that does a task in a browser, and counts: clicks, fields typed into, seconds, and bytes that came."""

import itertools
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from playwright.sync_api import Browser, Locator, Page

WIDE, HIGH = 1440, 900
_PATIENCE_MS = 60_000
_ROUNDS = itertools.count(1)


def new_note() -> str:
    """Return a description that no page has yet."""
    return f"Discussed on Monday: the smaller tree is enough ({next(_ROUNDS)})."


def new_name() -> str:
    """Return a name for a view that no page has yet."""
    return f"losses {next(_ROUNDS)}"


@dataclass
class Effort:
    """What one way through a task took."""

    clicks: int = 0
    fields: int = 0
    seconds: float = 0.0
    bytes: int = 0
    answer: str = ""
    steps: list[str] = field(default_factory=list)


class Hand:
    """Moves a page. Everything that a person does goes through it; looking at the page costs nothing."""

    def __init__(self, page: Page, effort: Effort, browser: Browser, state: Path) -> None:
        self.page = page
        self.effort = effort
        self._browser, self._state = browser, state
        self._began = time.perf_counter()

    def click(self, what: Locator, name: str) -> None:
        what.click()
        self._clicked(name)

    def check(self, what: Locator, name: str) -> None:
        what.check()
        self._clicked(name)

    def choose(self, what: Locator, option: str, name: str) -> None:
        """Choose of a list: one click opens it, another takes the option."""
        what.select_option(option)
        self._clicked(name)
        self.effort.clicks += 1

    def slide(self, what: Locator, value: str, name: str) -> None:
        """Drag a slider, which counts as a click."""
        what.fill(value)
        self._clicked(name)

    def hover(self, what: Locator) -> None:
        what.hover()

    def write(self, what: Locator, text: str, *, enter: bool = False) -> None:
        """Type into a field, which the click into it belongs to."""
        what.fill(text)
        if enter:
            what.press("Enter")
        self.effort.fields += 1
        self.effort.steps.append(f"type {text!r}")

    def press(self, key: str) -> None:
        self.page.keyboard.press(key)
        self.effort.fields += 1
        self.effort.steps.append(f"press {key}")

    def reload(self) -> None:
        """Load the page again: one click."""
        self.page.reload()
        self._clicked("load the page again")

    def copied(self, name: str) -> None:
        """Copy from the address bar, which no page can do: one click."""
        self._clicked(name)

    def done(self, answer: str, picture: Path | None) -> None:
        """Note what was found, and stop the clock."""
        self.effort.seconds = time.perf_counter() - self._began
        self.effort.answer = answer
        if picture:
            self.page.wait_for_load_state("networkidle")
            self.page.screenshot(path=picture)

    def restart(self) -> None:
        """Count from here: what came before prepares the task."""
        self.effort.clicks = self.effort.fields = self.effort.bytes = 0
        self.effort.steps.clear()
        self._began = time.perf_counter()

    def _clicked(self, name: str) -> None:
        self.effort.clicks += 1
        self.effort.steps.append(name)

    @contextmanager
    def elsewhere(self, url: str) -> Iterator[Page]:
        """Open a link in another browser, of somebody who has signed in there."""
        context = self._browser.new_context(viewport={"width": WIDE, "height": HIGH}, storage_state=self._state)
        context.set_default_timeout(_PATIENCE_MS)
        page = context.new_page()
        page.goto(url)
        yield page
        context.close()


@contextmanager
def hand(browser: Browser, start: str, ready: str, state: Path) -> Iterator[Hand]:
    """Open the start page in a fresh browser, wait until `ready` is seen there, and count from then on."""
    context = browser.new_context(
        viewport={"width": WIDE, "height": HIGH}, storage_state=state, permissions=["clipboard-read", "clipboard-write"]
    )
    context.set_default_timeout(_PATIENCE_MS)
    page = context.new_page()
    effort = Effort()
    network = context.new_cdp_session(page)
    network.send("Network.enable")
    page.goto(start)
    page.locator(ready).first.wait_for()
    network.on("Network.loadingFinished", lambda event: _add(effort, event))
    yield Hand(page, effort, browser, state)
    context.close()


def _add(effort: Effort, event: dict[str, float]) -> None:
    effort.bytes += int(event["encodedDataLength"])
