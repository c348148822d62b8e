"""A run's tree of files, its pictures over steps, and its models."""

import json
import re
from urllib.parse import quote

from flask.testing import FlaskClient

from tests.databases import BACKENDS as BOTH
from tests.mlflow_client import Mlflow, good
from tests.ui.browsing import ML, page
from tests.ui.run_table import Log

BACKENDS = BOTH
HERE = f"{ML}/candidates/1"
MLMODEL = b"""flavors:
  sklearn: {sklearn_version: 1.5.0}
  python_function: {python_version: 3.11.4}
signature:
  inputs: '[{"name": "age", "type": "long"}, {"name": "<b>", "type": "array", "items": {"type": "string"}}]'
  outputs: 'not JSON'
  params: null
saved_input_example_info: {artifact_path: input_example.json}
"""


def put(mlflow: Mlflow, path: str, body: bytes = b"x") -> None:
    good(mlflow.call("PUT", f"api/2.0/mlflow-artifacts/artifacts/{quote(path)}", data=body))


def names(shown: str) -> list[str]:
    return [one.strip() for one in re.findall(r'<a class="name"[^>]*>(?:<svg.*?</svg>)?([^<]*)</a>', shown)]


def test_a_tree_opens_down_to_the_file(client: FlaskClient, mlflow: Mlflow, log: Log) -> None:
    root = f"0/{log('a')}/artifacts"
    for path in ("a/b/step_10.txt", "a/b/step_9.txt", "a/c.txt", "z.txt", "100%_d.txt"):
        put(mlflow, f"{root}/{path}")
    assert names(page(client, f"{HERE}/files")) == ["a/", "100%_d.txt", "z.txt"]
    opened = ["a/", "b/", "step_9.txt", "step_10.txt", "c.txt", "100%_d.txt", "z.txt"]
    assert names(page(client, f"{HERE}/browse/a/b/step_9.txt")) == opened
    assert names(page(client, f"{HERE}/files?folder=a/b")) == opened
    assert names(page(client, f"{HERE}/files?find=STEP_")) == ["a/b/step_10.txt", "a/b/step_9.txt"]
    assert names(page(client, f"{HERE}/files?find=%25_d")) == ["100%_d.txt"]
    assert client.get(f"{HERE}/browse/none.txt").status_code == 404
    assert client.get(f"{HERE}/preview/z.txt").headers["Location"].endswith("/candidates/1/browse/z.txt")


def test_a_large_folder_is_listed_in_pages(client: FlaskClient, mlflow: Mlflow, log: Log) -> None:
    root = f"0/{log('a')}/artifacts"
    for number in range(305):
        put(mlflow, f"{root}/many/{number:03}.txt")
    first = client.get(f"{HERE}/files?folder=many").get_data(as_text=True)
    assert len(names(first)) == 301
    more = re.search(r'<a href="([^"]+)" rel="next">', first)
    assert more
    assert names(page(client, more[1].replace("&amp;", "&")))[1:] == [f"{number}.txt" for number in range(300, 305)]
    assert "304.txt" in names(page(client, f"{HERE}/browse/many/304.txt"))


def test_pictures_are_ordered_by_their_steps(client: FlaskClient, mlflow: Mlflow, log: Log) -> None:
    root = f"0/{log('a')}/artifacts"
    for step in (9, 10, 3000):
        put(mlflow, f"{root}/images/samples%step%{step}%timestamp%17%0a-b{step}.png")
        put(mlflow, f"{root}/images/samples%step%{step}%timestamp%17%0a-b{step}%compressed.webp")
        put(mlflow, f"{root}/images/val~out+step+{step}+timestamp+17+0a-b{step}.png")
        put(mlflow, f"{root}/plots/step_{step}.png")
    put(mlflow, f"{root}/confusion.png")
    shown = client.get(f"{HERE}/media?step=10").get_data(as_text=True)
    assert re.findall(r'<section class="row-of-media" aria-label="([^"]+)"', shown) == [
        "plots", "samples", "val/out", "confusion.png",
    ]  # fmt: skip
    assert re.findall(r'<span class="step">([\d,]+)</span>', shown) == ["10", "10", "10"]
    assert 'href="?step=9"' in shown
    assert 'href="?step=3000"' in shown
    assert "samples%25step%2510%25timestamp%2517%250a-b10%25compressed.webp" in shown
    last = client.get(f"{HERE}/media").get_data(as_text=True)
    assert re.findall(r'<span class="step">([\d,]+)</span>', last) == ["3,000"] * 3
    assert client.get(f"{HERE}/media?step=x&first=-3&find=%00").status_code == 200


def test_models_of_old_and_new_clients_are_shown_alike(client: FlaskClient, mlflow: Mlflow, log: Log) -> None:
    run = log("a")
    put(mlflow, f"0/{run}/artifacts/old/MLmodel", MLMODEL)
    put(mlflow, f"0/{run}/artifacts/old/input_example.json", b'{"age": [41]}')
    put(mlflow, f"0/{run}/artifacts/broken/MLmodel", b"[: {")
    made = mlflow.post("logged-models", experiment_id="0", name="new", model_type="agent", source_run_id=run)
    new = made["model"]["info"]["model_id"]
    put(mlflow, f"0/models/{new}/artifacts/MLmodel", MLMODEL)
    shown = client.get(f"{HERE}/models").get_data(as_text=True)
    assert re.findall(r'<h2 id="model-\d">([^<]+)</h2>', shown) == ["new", "broken", "old"]
    assert f"models:/{new}" in shown
    assert f"runs:/{run}/old" in shown
    assert shown.count("<code>long</code>") == 2
    assert "&lt;b&gt;" in shown
    assert "sklearn 1.5.0" in shown
    assert "{&#34;age&#34;: [41]}" in shown
    assert "MLmodel" in names(page(client, f"{HERE}/models/{new}/files"))
    assert "<pre>flavors:" in page(client, f"{HERE}/models/{new}/browse/MLmodel")
    other = log("b")
    assert other
    assert client.get(f"{ML}/candidates/2/models/{new}/browse/MLmodel").status_code == 404


def test_logged_tables_are_media_too(client: FlaskClient, mlflow: Mlflow, log: Log) -> None:
    run = log("a")
    rows = [[f"prompt {number}", number] for number in range(30)]
    table = json.dumps({"columns": ["input", "<b>score"], "data": rows}).encode()
    put(mlflow, f"0/{run}/artifacts/eval/results.json", table)
    named = [{"path": name, "type": "table"} for name in ("eval/results.json", "gone.json", "eval/results.json")]
    mlflow.post("runs/set-tag", run_id=run, key="mlflow.loggedArtifacts", value=json.dumps(named))
    shown = client.get(f"{HERE}/media").get_data(as_text=True)
    assert 'Tables <span class="count">1</span>' in shown
    assert f'<a href="{HERE}/browse/eval/results.json">eval/results.json</a>' in shown
    assert "&lt;b&gt;score" in shown
    assert "prompt 9<" in shown
    assert "prompt 10<" not in shown
    assert "Media" in page(client, HERE)
    assert "in its name" in page(client, f"{HERE}/media?find=pictures")
    for damaged in ("[", '{"path": 1}', '[1, {"type": "table"}, {"path": {}, "type": "table"}]'):
        mlflow.post("runs/set-tag", run_id=run, key="mlflow.loggedArtifacts", value=damaged)
        assert client.get(f"{HERE}/media").status_code == 200
