"""Take pictures of merge requests' comments, as GitLab's Markdown, styles and Mermaid show them.

    PYTHONPATH=. python -m scripts.note_pictures [--mermaid node_modules/mermaid/dist/mermaid.min.js] [--all FOLDER]

Without `--all` it takes those for the docs; with it, each situation of the gallery on a phone and on a desk, light and
dark. It needs Chromium. comrak is the Markdown library that GitLab uses; the sortable table, which GitLab makes from
JSON in the browser, is drawn here as a plain one.
"""

import argparse
import html
import json
import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import comrak
from playwright.sync_api import Browser, sync_playwright

from . import gallery

FOLDER = Path(__file__).parents[1] / "docs/images"
PHONE, DESK = 390, 1000
_FONTS = "'GitLab Sans', 'Noto Sans', 'DejaVu Sans', sans-serif"
STYLE = f"""
body {{ margin: 0; font: 14px/1.43 {_FONTS}; color: #28272d; background: #fff }}
.note {{ margin: 12px 28px; overflow-wrap: break-word }}
.note > :first-child {{ margin-top: 0 }}
h1 {{ font-size: 1.75em }} h3 {{ font-size: 1.3em }} h4 {{ font-size: 1.2em }}
h1, h3, h4 {{ margin: 24px 0 16px; line-height: 1.3; font-weight: 600 }}
p, ul, details, summary {{ margin: 0 0 16px }} ul {{ padding: 0 }} li {{ margin-left: 28px; line-height: 1.6em }}
code {{ font: 90% 'GitLab Mono', 'DejaVu Sans Mono', monospace; white-space: pre-wrap; word-break: keep-all;
  overflow-wrap: normal; padding: 2px 4px; border-radius: 4px; background: #ececef }}
wbr {{ display: inline-block }} sub {{ font-size: 75%; line-height: 0; position: relative; bottom: -.25em }}
table {{ display: block; overflow-x: auto; width: auto; margin: 16px 0; border-collapse: collapse }}
td, th {{ padding: 10px 16px; line-height: 20px; vertical-align: top; border: 1px solid #dcdcde; text-align: left }}
th {{ background: #fbfafd; border-bottom-width: 2px }}
pre {{ overflow-x: auto; padding: 8px 12px; font-size: 13px }} pre code {{ white-space: pre; background: none }}
a {{ color: #1068bf; text-decoration: none }} a code {{ color: inherit }} summary {{ cursor: pointer }}
.dark {{ color: #ececef; background: #1f1e24 }} .dark code {{ background: #333238 }} .dark a {{ color: #63a6e9 }}
.dark td, .dark th {{ border-color: #434248 }} .dark th {{ background: #28272d }}
"""
"""What GitLab's stylesheets say about a comment, as far as it matters here: paddings, what breaks, and what scrolls."""


@dataclass(frozen=True, slots=True)
class Shot:
    """A picture for the docs; a height of 0 shows the whole comment."""

    situation: str
    theme: str
    width: int
    height: int
    unfolded: tuple[str, ...] = ()


SHOTS = {
    "note-light": Shot("warned", "light", 980, 0, ("History",)),
    "note-dark": Shot("warned", "dark", 980, 0, ("History",)),
    "note-phone": Shot("failed", "light", PHONE, 844),
    "note-evaluation": Shot("evaluation-fails", "light", PHONE, 844),
}


def page(text: str, theme: str, *, mermaid: Path | None = None, unfolded: tuple[str, ...] = ()) -> str:
    """Make a page of a comment's Markdown. `unfolded` are the beginnings of the summaries of folds that are open."""
    extensions, options = comrak.ExtensionOptions(), comrak.RenderOptions()
    extensions.table = extensions.autolink = extensions.strikethrough = extensions.tasklist = True
    options.unsafe_ = True
    made = comrak.render_markdown(text, extension_options=extensions, render_options=options)
    made = re.sub(r'(?s)<pre><code class="language-json:table">(.*?)</code></pre>', _table, made)
    for start in unfolded:
        made = made.replace(f"<details><summary>{start}", f"<details open><summary>{start}")
    script = ""
    if mermaid is not None:
        made = re.sub(
            r'(?s)<pre><code class="language-mermaid">(.*?)</code></pre>', r'<pre class="mermaid">\1</pre>', made
        )
        settings = {"theme": "dark" if theme == "dark" else "neutral", "securityLevel": "strict"}
        script = f"<script>{mermaid.read_text()}</script>"
        script += f"<script>mermaid.initialize({json.dumps(settings)})</script>"
    head = "<!doctype html><meta charset=utf-8><meta name=viewport content='width=device-width'>"
    return f"{head}<style>{STYLE}</style><body class={theme}><div class=note>{made}</div>{script}</body>"


def _table(found: re.Match[str]) -> str:
    table = json.loads(html.unescape(found[1]))
    keys = [field["key"] for field in table["fields"]]
    head = "".join(f"<th>{html.escape(field['label'])}</th>" for field in table["fields"])
    rows = ("".join(f"<td>{comrak.render_markdown(item[key])}</td>" for key in keys) for item in table["items"])
    return f"<table><tr>{head}</tr>{''.join(f'<tr>{row}</tr>' for row in rows)}</table>"


@contextmanager
def browser() -> Iterator[Browser]:
    found = shutil.which("chromium") or shutil.which("chromium-browser") or sys.exit("Chromium not found")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=found)
        yield started
        started.close()


def take(started: Browser, content: str, width: int, height: int, file: Path) -> None:
    """Save a picture of a page, `height` pixels high, or all of it."""
    tab = started.new_page(viewport={"width": width, "height": height or 300}, device_scale_factor=1.5)
    tab.set_content(content)
    tab.wait_for_timeout(1500 if "mermaid.initialize" in content else 0)
    tab.screenshot(path=file, full_page=not height)
    tab.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--mermaid", type=Path, help="mermaid.min.js; without it the chart remains text")
    parser.add_argument("--all", type=Path, metavar="FOLDER", help="every situation of the gallery, into this folder")
    parser.add_argument("--unfold", action="store_true", help="with --all, open every fold")
    options = parser.parse_args()
    notes = {one.name: gallery.note_of(one) for one in gallery.SITUATIONS}
    with browser() as started:
        if options.all is None:
            for name, shot in SHOTS.items():
                content = page(notes[shot.situation], shot.theme, mermaid=options.mermaid, unfolded=shot.unfolded)
                take(started, content, shot.width, shot.height, FOLDER / f"{name}.png")
            return
        options.all.mkdir(parents=True, exist_ok=True)
        for name, text in notes.items():
            for theme in ("light", "dark"):
                for width in (PHONE, DESK):
                    content = page(text, theme, mermaid=options.mermaid, unfolded=("",) if options.unfold else ())
                    take(started, content, width, 0, options.all / f"{name}-{width}-{theme}.png")


if __name__ == "__main__":
    main()
