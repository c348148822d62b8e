"""Write what is generated from `templates/{track,report,promote,doctor}.yml`: `pipeline.yml` and the tables of inputs,
in the reference and in the README, which GitLab's Catalog shows as the page of the components.

python -m scripts.component_files            write them
python -m scripts.component_files --check    fail if one is stale; `make lint` does so
"""

import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]
TEMPLATES = ROOT / "templates"
PAGE = ROOT / "docs/reference/components.md"
README = ROOT / "README.md"
PARTS = ("track", "report", "promote", "doctor")

# These mean the same in every part, and are given once.
SHARED = ("server", "needs", "mirror", "image", "install")

_HEAD = """\
# Track, report, promote and doctor in one include. Written by `python -m scripts.component_files` from track.yml,
# report.yml, promote.yml and doctor.yml: change those.
spec:
  inputs:
"""
_ABOUT = {
    "pipeline": "All of the others in one include. Start with this one.",
    "track": "A hidden job that training jobs extend. It gives them an ID token and MLflow's variables.",
    "report": "A job that compares the pipeline's runs with the target branch's, and fails if a rule is broken.",
    "promote": "A job that makes the best run a version of its model.",
    "doctor": "A job that checks the set-up with the token of a training job, and says what to change.",
}
_COMPONENTS = re.compile(r"(<!-- components -->\n).*?(<!-- end of components -->)", re.DOTALL)
_TABLE = re.compile(r"(<!-- inputs of (?P<name>\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def main(arguments: list[str]) -> int:
    stale = [path for path, text in files() if path.read_text() != text]
    if "--check" in arguments:
        for path in stale:
            print(f"{path.relative_to(ROOT)} is stale; run: python -m scripts.component_files")
        return 1 if stale else 0
    for path, text in files():
        path.write_text(text)
    return 0


def files() -> Iterator[tuple[Path, str]]:
    """Each generated file, with the text it should have."""
    yield TEMPLATES / "pipeline.yml", pipeline()
    yield PAGE, page()
    yield README, readme()


def pipeline() -> str:
    """The composed template. An input that two parts mean differently is named after its part: `report-stage`."""
    heads, bodies = {}, []
    count = Counter(name for part in PARTS for name in _blocks(part))
    for part in PARTS:
        renamed = {name: _renamed(part, name, count[name]) for name in _blocks(part)}
        for name, block in _blocks(part).items():
            new = renamed[name]
            text = block.replace(f"    {name}:", f"    {new}:", 1)
            if name == "doctor":  # anyone who includes the part alone wants it; here it has to be switched on
                text = text.replace("default: true", "default: false")
            heads.setdefault(new, text if new == name else re.sub(r"\b(the|this) job\b", f"the {part} job", text))
        body = re.sub(
            r"\$\[\[ inputs\.([a-z-]+) \]\]",
            lambda found, renamed=renamed: f"$[[ inputs.{renamed[found[1]]} ]]",
            _split(part)[1],
        )
        bodies.append(body.strip("\n"))
    first = ("server", "needs")
    ordered = [heads[name] for name in first] + [text for name, text in heads.items() if name not in first]
    return _HEAD + "".join(ordered) + "---\n" + "\n\n".join(bodies) + "\n"


def page() -> str:
    """The reference page with up-to-date tables."""
    return _TABLE.sub(lambda found: f"{found[1]}{_table(found['name'])}{found[3]}", PAGE.read_text())


def readme() -> str:
    """The README with its section about the components, which the Catalog asks for."""
    parts = [
        f"### `{name}`\n\n{about}\n\n<details><summary>Inputs of {name}</summary>\n\n{_table(name)}\n</details>\n"
        for name, about in _ABOUT.items()
    ]
    return _COMPONENTS.sub(lambda found: found[1] + "\n" + "\n".join(parts) + "\n" + found[2], README.read_text())


def _table(name: str) -> str:
    text = pipeline() if name == "pipeline" else (TEMPLATES / f"{name}.yml").read_text()
    inputs = yaml.safe_load(re.split(r"^---$", text, flags=re.MULTILINE)[0])["spec"]["inputs"]
    rows = ["| Input | Default | Meaning |", "|---|---|---|"]
    rows += [f"| `{key}` | {_default(spec)} | {_meaning(spec)} |" for key, spec in inputs.items()]
    return "\n".join(rows) + "\n"


def _default(spec: dict[str, Any]) -> str:
    if "default" not in spec:
        return "*required*"
    value = spec["default"]
    if spec.get("type") == "array" and value:
        return "see the template"
    shown = {True: "true", False: "false"}.get(value, value) if isinstance(value, bool) else value
    return "empty" if shown in ("", []) else f"`{shown}`"


def _meaning(spec: dict[str, Any]) -> str:
    options = ", ".join(f"`{one}`" for one in spec.get("options", ()) if not isinstance(one, int))
    kind = spec.get("type", "string")
    notes = filter(None, (options and f"One of {options}.", f"({kind})" if kind != "string" else ""))
    return " ".join([spec["description"].strip().replace("|", "\\|"), *notes])


def _renamed(part: str, name: str, count: int) -> str:
    return name if count == 1 or name in SHARED else f"{part}-{name}"


def _blocks(part: str) -> dict[str, str]:
    """The inputs of a template by name, each as its lines."""
    head = _split(part)[0].split("  inputs:\n", 1)[1]
    found = re.split(r"^(?=    [a-z-]+:$)", head, flags=re.MULTILINE)
    return {block.split(":", 1)[0].strip(): block for block in found if block.strip()}


def _split(part: str) -> tuple[str, str]:
    head, body = re.split(r"^---\n", (TEMPLATES / f"{part}.yml").read_text(), maxsplit=1, flags=re.MULTILINE)
    return head, body


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
