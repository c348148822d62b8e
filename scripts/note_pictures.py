"""Take pictures of a merge request's note for the docs, as GitLab's Markdown and Mermaid render it.

    PYTHONPATH=. python -m scripts.note_pictures --mermaid node_modules/mermaid/dist/mermaid.min.js

It needs Chromium, and Mermaid from npm for the chart. comrak is the Markdown library that GitLab uses; the sortable
table, which GitLab makes from JSON in the browser, is drawn here as a plain one.
"""

import argparse
import html
import json
import random
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import comrak
from tests.reports import Sides, a_report, a_run

from mltrail_server.domain.grouping import Run, RunState
from mltrail_server.services.review import note
from mltrail_server.settings import Settings

FOLDER = Path(__file__).parents[1] / "docs/images"
SETTINGS = Settings(external_url="https://mltrail.example.com", gitlab_url="https://gitlab.example.com")
SHOTS = {"note-light": ("light", 980, 730), "note-dark": ("dark", 980, 730), "note-phone": ("light", 500, 880)}
CONTRACT = """
version: 1
models:
  churn:
    rank_by: val_accuracy
    rules:
      - {metric: val_accuracy, better: higher, worse_by: 0.002}
      - {metric: "f1/*", better: higher, worse_by: 0.01, then: warn}
      - {metric: val_loss, better: lower, at_most: 0.40}
      - {metric: latency_p95_ms, better: lower, worse_by: {percent: 5}, then: warn}
"""
STYLE = """
body { font: 14px/1.5 'Noto Sans', 'DejaVu Sans', sans-serif; margin: 16px }
table { border-collapse: collapse; margin: 8px 0 } td, th { border: 1px solid #8885; padding: 4px 8px }
code { background: #8882; padding: 1px 4px; border-radius: 4px } summary { cursor: pointer } a { color: #1068bf }
body.dark { background: #1f1e24; color: #ececef } body.dark a { color: #63a6e9 }
"""


def body() -> str:
    rng = random.Random(3)  # noqa: S311 - no secret

    def runs(first: int, count: int, accuracy: float, latency: float, lr: str, name: str) -> list[Run]:
        return [
            a_run(
                first + seed,
                {
                    "val_accuracy": rng.gauss(accuracy, 0.0014),
                    "val_loss": rng.gauss(1.3 - accuracy, 0.006),
                    "latency_p95_ms": rng.gauss(latency, 0.3),
                    "f1/minority": rng.gauss(0.74, 0.012),
                },
                params={"lr": lr, "layers": "8" if lr == "3e-4" else "4", "seed": str(seed)},
                name=f"{name}-{seed}",
            )
            for seed in range(count)
        ]

    history = [runs(200 + 10 * place, 3, 0.912 - place / 500, 12.1, "1e-3", "base") for place in range(8)]
    mine = runs(20, 5, 0.9213, 13.4, "3e-4", "deep") + runs(30, 5, 0.915, 12.2, "1e-3", "wide")
    mine += [a_run(41, {"val_accuracy": 0.5}, name="deep-hot", state=RunState.FAILED, job_name="train: [deep, 1e-1]")]
    report = a_report({"churn": Sides(mine, runs(1, 5, 0.9128, 12.1, "1e-3", "base"), history)}, CONTRACT)
    return note.body(report, settings=SETTINGS, project_path="team/churn")


def page(text: str, theme: str, mermaid: Path | None) -> str:
    extensions, options = comrak.ExtensionOptions(), comrak.RenderOptions()
    extensions.table = True
    options.unsafe_ = True
    made = comrak.render_markdown(text, extension_options=extensions, render_options=options)
    made = re.sub(r'(?s)<pre><code class="language-json:table">(.*?)</code></pre>', _table, made)
    # Only folds that show something are open.
    made = made.replace("<details><summary>History", "<details open><summary>History")
    script = ""
    if mermaid is not None:
        made = re.sub(
            r'(?s)<pre><code class="language-mermaid">(.*?)</code></pre>', r'<pre class="mermaid">\1</pre>', made
        )
        settings = {"theme": "dark" if theme == "dark" else "neutral", "securityLevel": "strict"}
        script = f"<script src='{mermaid.resolve().as_uri()}'></script>"
        script += f"<script>mermaid.initialize({json.dumps(settings)})</script>"
    return f"<meta charset=utf-8><style>{STYLE}</style><body class={theme}>{made}{script}</body>"


def _table(found: re.Match[str]) -> str:
    table = json.loads(html.unescape(found[1]))
    keys = [field["key"] for field in table["fields"]]
    head = "".join(f"<th>{html.escape(field['label'])}</th>" for field in table["fields"])
    rows = ("".join(f"<td>{comrak.render_markdown(item[key])}</td>" for key in keys) for item in table["items"])
    return f"<table><tr>{head}</tr>{''.join(f'<tr>{row}</tr>' for row in rows)}</table>"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--mermaid", type=Path, help="mermaid.min.js; without it the chart remains text")
    mermaid = parser.parse_args().mermaid
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or sys.exit("Chromium not found")
    FOLDER.mkdir(exist_ok=True)
    text = body()
    for name, (theme, width, height) in SHOTS.items():
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "note.html"
            file.write_text(page(text, theme, mermaid))
            flags = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--virtual-time-budget=8000"]
            flags += ["--allow-file-access-from-files", f"--window-size={width},{height}"]
            shot = f"--screenshot={FOLDER / f'{name}.png'}"
            subprocess.run([chromium, *flags, shot, file.as_uri()], check=True, capture_output=True, timeout=120)


if __name__ == "__main__":
    main()
