"""Do the same tasks on mltrail's pages and on MLflow's, with the same data, and count what they take.

`python -m benchmarks.tasks --rounds 3 --pictures DIR --write FILE`; `--table FILE` makes the table of the docs. It
needs `make client-envs` and Chromium. Rounds are interleaved, and the median counts. Seconds are those of the machine,
from the first click until the answer is seen, without the time that a person needs. On a busy machine, only ratios mean
something: a task's ratio is the median of its rounds.
"""

import argparse
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import asdict
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, sync_playwright

from . import ours, servers, theirs
from .hand import Effort, Hand, hand

NAMES = {
    "best_run": "Find the best run of the last seven days, of a sweep of 500",
    "curves": "See four loss curves, smoothed, on a log axis",
    "importance": "Which parameter mattered?",
    "differences": "What changed between two runs?",
    "picture": "See the picture at step 3,000",
    "origin": "Run, job and merge request behind a version",
    "annotate": "Annotate a run of CI, and see that it still counts",
    "roll_back": "Roll an alias back",
    "share": "Show somebody else the same view",
}
FONTS = """<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig>
<include>/etc/fonts/fonts.conf</include>
<selectfont><rejectfont><glob>*Emoji*</glob></rejectfont></selectfont>
</fontconfig>
"""
Sides = Sequence[tuple[str, Any, str, Path]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", help="tasks, separated by commas")
    parser.add_argument("--pictures", type=Path, help="folder for a screenshot of each answer")
    parser.add_argument("--write", type=Path, help="file for what was counted")
    parser.add_argument("--table", type=Path, help="only make a table of such a file")
    given = parser.parse_args()
    if given.table:
        sys.stdout.write(table(json.loads(given.table.read_text())))
        return
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium")
    if chromium is None:
        sys.exit("Chromium not found: apt-get install chromium, or set CHROMIUM to its path.")
    chosen = given.only.split(",") if given.only else list(NAMES)
    now = int(time.time() * 1000)
    with (
        tempfile.TemporaryDirectory() as scratch,
        servers.both(Path(scratch) / "data", now) as (site, mlflow),
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=chromium, env=with_plain_fonts(Path(scratch)))
        sides = arranged(browser, site.url, site.team.tokens, mlflow, Path(scratch))
        counted = measure(browser, sides, chosen, given.rounds, given.pictures)
        browser.close()
    if given.write:
        given.write.write_text(json.dumps(counted, indent=1, ensure_ascii=False))
    sys.stdout.write(table(counted))


def with_plain_fonts(folder: Path) -> dict[str, str | float | bool]:
    """Return an environment without emoji fonts: on Linux, MLflow's pages take digits and spaces from them."""
    fonts = folder / "fonts.conf"
    fonts.write_text(FONTS)
    return {**os.environ, "FONTCONFIG_FILE": str(fonts)}


def arranged(browser: Browser, url: str, tokens: dict[str, str], mlflow: str, folder: Path) -> Sides:
    """Prepare a browser for each: signed in at ours, as a maintainer, who may move aliases; and MLflow's settings."""
    signed_in, settings = folder / "signed-in.json", folder / "settings.json"
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{url}/-/sign-in?next={ours.START}")
    page.fill("#token", tokens["maintainer"])
    page.click("text=Sign in with a token")
    page.wait_for_url(f"**{ours.START}")
    context.storage_state(path=signed_in)
    context.close()
    stored = [{"name": name, "value": value} for name, value in theirs.STORED.items()]
    settings.write_text(json.dumps({"cookies": [], "origins": [{"origin": mlflow, "localStorage": stored}]}))
    return (("mltrail", ours, url, signed_in), ("MLflow", theirs, mlflow, settings))


def measure(
    browser: Browser, sides: Sides, chosen: Sequence[str], rounds: int, pictures: Path | None
) -> dict[str, dict[str, Any]]:
    """Return, for each task and side, what its median round took."""
    efforts: dict[str, dict[str, list[Effort]]] = {}
    for number in range(rounds):
        for task in chosen:
            for name, module, url, state in sides:
                way: Callable[[Hand], str] | None = getattr(module, task, None)
                if way is None:
                    continue
                picture = pictures / f"{task}-{name.lower()}.png" if pictures and not number else None
                with hand(browser, url + module.START, module.READY, state) as one:
                    answer = way(one)
                    one.done(answer, picture)
                    efforts.setdefault(task, {}).setdefault(name, []).append(deepcopy(one.effort))
                    after = getattr(module, f"after_{task}", None)
                    if after:
                        after(one)
                sys.stderr.write(f"{task} {name} {one.effort.seconds:.1f} s {one.effort.clicks} {one.effort.fields}\n")
    return {task: {name: _median(some) for name, some in sides_of.items()} for task, sides_of in efforts.items()}


def _median(efforts: Sequence[Effort]) -> dict[str, Any]:
    found = asdict(efforts[-1])
    found["rounds"] = [one.seconds for one in efforts]
    found["seconds"] = statistics.median(found["rounds"])
    found["bytes"] = statistics.median(one.bytes for one in efforts)
    return found


def table(counted: dict[str, dict[str, Any]]) -> str:
    lines = ["| Task | mltrail | MLflow | Ratio |", "|---|---|---|---:|"]
    lines += [
        f"| {NAMES[task]} | {_cell(sides.get('mltrail'))} | {_cell(sides.get('MLflow'))} | {_ratio(sides)} |"
        for task, sides in counted.items()
    ]
    return "\n".join(lines) + "\n"


def _cell(took: dict[str, Any] | None) -> str:
    if took is None:
        return "not measured"
    clicks = f"{took['clicks']} click{'s' * (took['clicks'] != 1)}"
    fields = f" and {took['fields']} field{'s' * (took['fields'] != 1)}" if took["fields"] else ""
    return f"{clicks}{fields}, {took['seconds']:.1f} s, {took['bytes'] / 1000:,.0f} kB"


def _ratio(sides: dict[str, Any]) -> str:
    if len(sides) < 2:
        return ""
    rounds = zip(sides["mltrail"]["rounds"], sides["MLflow"]["rounds"], strict=True)
    return f"{statistics.median(theirs / ours for ours, theirs in rounds):.1f}"


if __name__ == "__main__":
    main()
