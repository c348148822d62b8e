"""Make the third-party files of the web pages: `python assets/make.py`. They are not kept in git.

The wheel and the sdist do it when they are built (`hatch_build.py`); run it after naming a new icon or token.

GitLab's design tokens are cut down to those that our style sheet reaches, its icons to those that our templates name.
Once made, the files are made again only when what they are made of has changed; an sdist brings them along, so that
it installs without Node.
"""

import hashlib
import re
import shutil
import tempfile
from pathlib import Path

import licences
import packages

ROOT = Path(__file__).parents[1]
PINS = Path(__file__).parent / "npm.json"
UI = ROOT / "server/mltrail_server/ui"
VENDOR = UI / "static/vendor"
STAMP = VENDOR / "stamp"

_TOKEN = re.compile(r"^\s*(--gl-[\w-]+):\s*([^;]+);", re.MULTILINE)
_USED_TOKEN = re.compile(r"var\((--gl-[\w-]+)")
_USED_ICON = re.compile(r"icon\(\s*[\"']([\w-]+)[\"']")
_SYMBOL = re.compile(r"<symbol[^>]* id=\"([^\"]+)\".*?</symbol>", re.DOTALL)
_SCHEMES = (
    ("tokens.css", ":root {{\n{}\n}}\n"),
    ("tokens.dark.css", "@media (prefers-color-scheme: dark) {{\n:root {{\n{}\n}}\n}}\n"),
)


def is_current() -> bool:
    return STAMP.exists() and STAMP.read_text() == fingerprint()


def fingerprint() -> str:
    """Hash everything that the files are made from."""
    sources = [PINS, *sorted(Path(__file__).parent.glob("*.py")), *_styles(), *_templates()]
    return hashlib.sha256(b"\0".join(path.read_bytes() for path in sources)).hexdigest()


def make() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        source = Path(scratch)
        packages.fetch(PINS, source)
        made = Path(scratch) / "made"
        made.mkdir()
        (made / "tokens.css").write_text(_tokens(source / "@gitlab/ui/src/tokens/build/css"))
        (made / "icons.svg").write_text(_icons((source / "@gitlab/svgs/dist/icons.svg").read_text()))
        shutil.copy(source / "uplot/dist/uPlot.iife.min.js", made / "uplot.js")
        shutil.copy(source / "uplot/dist/uPlot.min.css", made / "uplot.css")
        (made / licences.TEXTS).write_text(licences.texts(PINS, source))
        (made / licences.SBOM).write_text(licences.sbom(PINS, source))
        shutil.rmtree(VENDOR, ignore_errors=True)
        shutil.copytree(made, VENDOR)
    STAMP.write_text(fingerprint())


def _styles() -> list[Path]:
    return sorted((UI / "static").glob("*.css"))


def _templates() -> list[Path]:
    return sorted([*(UI / "templates").rglob("*.html"), *UI.glob("*.py")])


def _tokens(folder: Path) -> str:
    """Keep the tokens that our style sheets use, and those that they depend on, for light and dark."""
    wanted = {name for style in _styles() for name in _USED_TOKEN.findall(style.read_text())}
    parts = ["/* Cut from @gitlab/ui: see THIRD_PARTY_LICENSES.txt */\n"]
    for name, shape in _SCHEMES:
        known = dict(_TOKEN.findall((folder / name).read_text()))
        missing = wanted - known.keys()
        if missing:
            raise packages.AssetError(f"{name} of @gitlab/ui has no {', '.join(sorted(missing))}; choose other tokens.")
        reached: dict[str, str] = {}
        rest = sorted(wanted)
        while rest:
            token = rest.pop()
            if token not in reached:
                reached[token] = known[token]
                rest.extend(_USED_TOKEN.findall(known[token]))
        parts.append(shape.format("\n".join(f"{token}: {value};" for token, value in sorted(reached.items()))))
    return "".join(parts)


def _icons(sprite: str) -> str:
    """Keep the icons that our templates use."""
    wanted = {name for template in _templates() for name in _USED_ICON.findall(template.read_text())}
    symbols = {match[1]: match[0] for match in _SYMBOL.finditer(sprite)}
    missing = wanted - symbols.keys()
    if missing:
        raise packages.AssetError(f"@gitlab/svgs has no icon {', '.join(sorted(missing))}; choose another.")
    return f'<svg xmlns="http://www.w3.org/2000/svg">{"".join(symbols[name] for name in sorted(wanted))}</svg>\n'


if __name__ == "__main__":
    make()
