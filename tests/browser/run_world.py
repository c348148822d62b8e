"""A deep-learning run from a laptop: curves, many parameters, pictures over steps, files of many kinds, a model."""

import base64
import json
import math
import struct
import zlib
from collections.abc import Mapping, Sequence
from urllib.parse import quote

from tests.browser.server import Site
from tests.mlflow_client import Mlflow, good

IID = 26
"""The run's number in its project."""
STEPS = 6000
EVERY = 100
"""Steps between two pictures."""
_LOGGED = 1_790_000_000_000
MLMODEL = """artifact_path: model
flavors:
  python_function:
    loader_module: mlflow.pytorch
    python_version: 3.12.4
  pytorch:
    pytorch_version: 2.9.0
model_id: {id}
run_id: {run}
signature:
  inputs: '[{{"type": "tensor", "tensor-spec": {{"dtype": "float32", "shape": [-1, 3, 224, 224]}}}}]'
  outputs: '[{{"type": "double", "name": "scratch"}}, {{"type": "double", "name": "dent", "required": false}}]'
  params: '[{{"name": "threshold", "type": "double", "default": 0.5, "shape": null}}]'
saved_input_example_info:
  artifact_path: input_example.json
  type: json_object
utc_time_created: '2026-11-30 06:00:00'
"""
SVG = b"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 200 60">
<path d="M0 55 40 30 80 40 120 12 200 4" fill="none" stroke="#1f75cb" stroke-width="3"/>
<script>document.title = "run"</script></svg>
"""
HTML = b"""<!doctype html><meta charset="utf-8">
<style>body { font-family: sans-serif } i { display: block; background: #1f75cb; height: 20px; margin: 4px }</style>
<h1>Errors by class</h1><div id="plot">The plot needs scripts.</div>
<script>
const of = { scratch: 42, dent: 17, stain: 9 };
document.getElementById("plot").innerHTML = Object.keys(of).map((name) => `<p>${name}<i id="${name}"></i>`).join("");
for (const name in of) document.getElementById(name).style.width = of[name] * 8 + "px";
</script>
"""
HOSTILE = b"""<!doctype html><meta charset="utf-8"><form id="form" method="post" action="/-/sign-out"></form>
<ul id="said"></ul>
<script>
const say = (what) => { said.append(Object.assign(document.createElement("li"), { textContent: what })); };
const tries = (name, what) => { try { say(`${name}: ${what()}`); } catch (error) { say(`${name}: refused`); } };
tries("origin", () => self.origin);
tries("cookie", () => document.cookie);
tries("storage", () => localStorage.length);
tries("parent", () => parent.document.title);
tries("top", () => { top.location = "/team/churn/-/ml/models"; return "asked"; });
tries("window", () => String(window.open("/")));
tries("form", () => { form.submit(); return "asked"; });
const picture = new Image();
picture.onload = () => say("picture: loaded");
picture.onerror = () => say("picture: refused");
picture.src = "/team/churn/-/ml/none.png";
fetch("/").then(() => say("fetch: loaded"), () => say("fetch: refused"));
</script>
"""
LEAVING = b"""<!doctype html><h1>Leaving</h1><script>location = "https://evil.example/?what=" + 1;</script>"""
MARKDOWN = b"""# Defects on steel

What the model sees, and what it misses.

| Class | Pictures | Missed |
|---|---:|---:|
| scratch | 1,204 | 42 |
| dent | 388 | 17 |

- trained on *line 4* only
- <script>alert("never")</script> stays text
"""
PDF = (
    b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj 2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj "
    b"3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 200 100]/Contents 4 0 R/Resources<</Font<</F 5 0 R>>>>>>endobj "
    b"4 0 obj<</Length 44>>stream\nBT /F 18 Tf 20 45 Td (Report of line 4) Tj ET\nendstream endobj "
    b"5 0 obj<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>endobj trailer<</Root 1 0 R>>\n%%EOF"
)


def frame(step: int, size: int = 96) -> bytes:
    """Draw a PNG that shows its step: a bar that grows, in a colour that turns."""
    filled = size * step // STEPS
    shade = bytes((40, 60 + 190 * step // STEPS, 230 - 190 * step // STEPS))
    rows = b"".join(b"\0" + shade * filled + b"\xec\xf0\xf4" * (size - filled) for _ in range(size))

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", size, size, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def wave(seconds: float = 0.2) -> bytes:
    """Make a WAV of a tone."""
    rate = 8000
    body = bytes(128 + int(100 * math.sin(index / 3)) for index in range(int(rate * seconds)))
    head = b"WAVEfmt " + struct.pack("<IHHIIHH", 16, 1, 1, rate, rate, 1, 8) + b"data" + struct.pack("<I", len(body))
    return b"RIFF" + struct.pack("<I", 4 + len(head) + len(body)) + head + body


NOTEBOOK = json.dumps(
    {
        "nbformat": 4,
        "cells": [
            {"cell_type": "markdown", "source": ["# What it misses\n", "Scratches, *mostly*.\n"]},
            {
                "cell_type": "code",
                "execution_count": 2,
                "source": "frame.head()\nplot(frame)",
                "outputs": [
                    {"output_type": "stream", "text": ["42 of 1,204\n"]},
                    {"output_type": "display_data", "data": {"image/png": base64.b64encode(frame(3000)).decode()}},
                ],
            },
        ],
    }
).encode()


def files() -> Mapping[str, bytes]:
    table = {"columns": ["picture", "label", "score"], "data": [["a.png", "scratch", 0.91], ["b.png", "dent", 0.4]]}
    return {
        "README.md": MARKDOWN,
        "reports/errors.html": HTML,
        "reports/roc.svg": SVG,
        "hostile/reads.html": HOSTILE,
        "hostile/leaves.html": LEAVING,
        "reports/line-4.pdf": PDF,
        "analysis.ipynb": NOTEBOOK,
        "predictions.json": json.dumps(table).encode(),
        "config.json": json.dumps({"model": {"depth": 50, "stem": [64, 7, 2]}, "data": {"size": 224}}).encode(),
        "scores.csv": b"class,precision,recall\nscratch,0.91,0.95\ndent,0.78,0.66\n",
        "train.log": "\n".join(f"epoch {epoch}: loss {1 / (epoch + 1):.4f}" for epoch in range(80)).encode(),
        "alarm.wav": wave(),
        "weights.bin": bytes(range(256)) * 4,
        **{f"plots/step_{step}.png": frame(step) for step in (100, 900, 1000, 3000)},
    }


class Laptop:
    """Logs the run, call by call, as MLflow's clients do."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.mlflow = Mlflow(site.client, project="42", token=site.team.tokens["developer"])
        self.experiment = self.run = ""

    def make(self, *, points: int = 60, params: int = 120) -> None:
        self.experiment = self.mlflow.post("experiments/create", name="defects")["experiment_id"]
        for number in range(3):
            self._begin(f"baseline {number}", [{"key": "lr", "value": "0.1"}, {"key": "depth", "value": "18"}])
        given = [{"key": f"augment.{number:03}.probability", "value": f"0.{number % 10}"} for number in range(params)]
        self._begin("resnet-50", [{"key": "lr", "value": "0.0003"}, {"key": "depth", "value": "50"}, *given])
        self._curves(points)
        for path, body in files().items():
            self.put(path, body)
        self._pictures()
        self._model()
        self.site.clock.advance(3_600_000)
        self.mlflow.post("runs/update", run_id=self.run, status="FINISHED", end_time=self.site.clock())

    def put(self, path: str, body: bytes) -> None:
        self._put(f"{self.experiment}/{self.run}/artifacts/{path}", body)

    def _put(self, path: str, body: bytes) -> None:
        good(self.mlflow.call("PUT", f"api/2.0/mlflow-artifacts/artifacts/{quote(path)}", data=body))

    def _begin(self, name: str, params: Sequence[object]) -> None:
        now = self.site.clock()
        made = self.mlflow.post("runs/create", experiment_id=self.experiment, run_name=name, start_time=now)
        self.run = made["run"]["info"]["run_id"]
        for start in range(0, len(params), 100):
            self.mlflow.post("runs/log-batch", run_id=self.run, params=params[start : start + 100])

    def _curves(self, points: int) -> None:
        names = [f"{split}/{name}" for split in ("train", "val") for name in ("loss", "accuracy", "f1")]
        names += [f"val/recall/class_{number}" for number in range(14)] + ["system/gpu_utilization_percentage", "lr"]
        for name in names:
            loss = name.endswith(("loss", "lr"))
            values = []
            for point in range(points):
                progress = 1 - math.exp(-4 * point / points) + 0.03 * math.sin(point * 1.7 + len(name))
                at = self.site.clock() + point * 60_000
                value = round(1.6 - 1.3 * progress if loss else 0.9 * progress, 5)
                values.append({"key": name, "value": value, "step": point * STEPS // points, "timestamp": at})
            for start in range(0, points, 1000):
                self.mlflow.post("runs/log-batch", run_id=self.run, metrics=values[start : start + 1000])

    def _pictures(self) -> None:
        for step in range(0, STEPS, EVERY):
            # As MLflow 2 and 3.1 name them, and as newer clients do. The small ones are PNG here: names decide nothing.
            old = f"images/samples%step%{step}%timestamp%{_LOGGED + step}%0a7b1c2d-{step:04}-4000-8000-0000000000aa"
            self.put(f"{old}.png", frame(step))
            self.put(f"{old}%compressed.webp", frame(step, 24))
        for step in range(0, STEPS, 10 * EVERY):
            new = f"images/val~masks+step+{step}+timestamp+{_LOGGED + step}+0a7b1c2d-{step:04}-4000-8000-0000000000bb"
            self.put(f"{new}.png", frame(step, 48))
            self.put(f"{new}+compressed.webp", frame(step, 24))

    def _model(self) -> None:
        model = self.mlflow.post(
            "logged-models",
            experiment_id=self.experiment,
            name="model",
            model_type="pytorch",
            source_run_id=self.run,
            params=[{"key": "backbone", "value": "resnet-50"}],
        )["model"]["info"]["model_id"]
        folder = f"{self.experiment}/models/{model}/artifacts"
        self._put(f"{folder}/MLmodel", MLMODEL.format(id=model, run=self.run).encode())
        self._put(f"{folder}/input_example.json", b'{"columns": ["size"], "data": [[224]]}')
        self._put(f"{folder}/data/model.pth", b"\0" * 2048)
        links = [{"model_id": model, "step": STEPS}]
        self.mlflow.post("runs/outputs", run_id=self.run, models=links)
        ready = {"status": "LOGGED_MODEL_READY"}
        good(self.mlflow.call("PATCH", f"api/2.0/mlflow/logged-models/{model}", json=ready))
        metric = {
            "key": "val/accuracy",
            "value": 0.897,
            "timestamp": self.site.clock(),
            "step": STEPS,
            "model_id": model,
        }
        self.mlflow.post("runs/log-batch", run_id=self.run, metrics=[metric])
