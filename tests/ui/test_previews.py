"""Files as their pages show them: what they mean where that can be told, and never more than a page can bear."""

import base64
import html
import io
import json
import re
import zipfile
from urllib.parse import quote

import pytest
from flask.testing import FlaskClient

from tests.mlflow_client import Mlflow, good
from tests.ui.browsing import ML
from tests.ui.run_table import Log

PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + b"0" * 200).decode()


def notebook(*cells: dict[str, object]) -> bytes:
    return json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": cells}).encode()


def markdown(text: str) -> dict[str, object]:
    return {"cell_type": "markdown", "metadata": {}, "source": text.splitlines(keepends=True)}


def code(text: str, *outputs: dict[str, object], count: int | None = None) -> dict[str, object]:
    return {"cell_type": "code", "execution_count": count, "metadata": {}, "source": text, "outputs": outputs}


def stream(text: str) -> dict[str, object]:
    return {"output_type": "stream", "name": "stdout", "text": [text]}


def display(data: dict[str, object]) -> dict[str, object]:
    return {"output_type": "display_data", "metadata": {}, "data": data}


HERE = f"{ML}/candidates/1"
SCRIPT = b"<script>document.title = 'run'</script>"
DEEP = b"[" * 100_000 + b"]" * 100_000
HOSTILE = {
    "deep.json": DEEP,
    "deeper.json": b'{"a":' * 900 + b"1" + b"}" * 900,
    "wide.json": json.dumps({f"key {number}": [number] * 50 for number in range(5_000)}).encode(),
    "number.json": b"[" + b"9" * 100_000 + b"]",
    "halves.json": b'{"a \\ud800": ["\\udfff", "\\ud83d\\ude80"]}',
    "halves-table.json": b'{"columns": ["\\ud800"], "data": [[{"type": "image", "filepath": "\\udfff.png"}]]}',
    "halves.jsonl": b'{"\\ud800": {"b": "\\udfff"}}',
    "halves.ipynb": b'{"cells": ["\\ud800"]}',
    "closing.json": b'{"</script><script>alert(1)</script>": "</pre><img src=x onerror=alert(1)>"}',
    "table.json": b'{"columns": ["<b>a</b>"], "data": [["<img src=x onerror=alert(1)>"]]}',
    "odd-table.json": b'{"columns": ["a", "b"], "data": [[1], {"x": 2}, 3]}',
    "picture-table.json": b'{"columns": ["p"], "data": [[{"type": "image", "filepath": "../../../etc/passwd"}]]}',
    "long.csv": b'"' + b"a" * 300_000,
    "wide.csv": b",".join([b"x"] * 5_000) + b"\n" + b"1,2\n",
    "nul.csv": b"a,b\n\0,1\n",
    "lines.jsonl": b'{"a": 1}\n{"b": "<b>"}\n{"a":',
    "bad.md": b"# </script><script>alert(1)</script>\n[x](javascript:alert(1)) ![p](http://evil/x.png)",
    "brackets.md": b"[" * 15_000,
    "latin.txt": "Gr\u00f6\u00dfe in cm, as measured on Monday".encode("latin-1"),
    "utf16.txt": "Gr\u00f6\u00dfe".encode("utf-16"),
    "turned.py": "access = '\u202eresu\u202c'  # \u2066harmless".encode(),
    "lines.txt": b"\n" * 90_000,
    "noise.txt": bytes(range(1, 256)) * 400,
    "fake.parquet": b"PAR1" + b"\xff" * 200 + b"PAR1",
    "fake.pdf": SCRIPT,
    "fake.png": SCRIPT,
    "bad.svg": b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>',
    "bomb.svg": b'<!DOCTYPE svg [<!ENTITY a "aaaaaaaa">]><svg>&a;</svg>',
    "page.html": b"<h1>Report</h1>" + SCRIPT,
    "empty.txt": b"",
    "empty.json": b"",
    "book.ipynb": b'{"cells": [{"source": "<script>alert(1)</script>"}]}',
    "odd.ipynb": b'{"nbformat": 4, "cells": [1, {}, {"cell_type": [], "source": {}, "outputs": [[], {"data": 1}, 2]}]}',
    "many.ipynb": b'{"nbformat": 4, "cells": [' + b"{}," * 400_000 + b"{}]}",
    "outputs.ipynb": notebook(*[code("", *[display({"a/b": 1})] * 60) for _ in range(310)]),
    "long.ipynb": notebook(*[code("<" * 9_000, stream("\x1b[31m<b>" * 9_000)) for _ in range(90)]),
    "scripts.ipynb": notebook(
        markdown("<script>alert(1)</script>\n[x](javascript:alert(1)) ![p](http://evil/x.png)"),
        code("\u202ex", display({"text/html": "<img src=x onerror=alert(1)>"}), display({"</p><script>": ""})),
    ),
}


def put(mlflow: Mlflow, run: str, path: str, body: bytes) -> None:
    good(mlflow.call("PUT", f"api/2.0/mlflow-artifacts/artifacts/0/{run}/artifacts/{quote(path)}", data=body))


def preview_of(client: FlaskClient, path: str, **query: str) -> str:
    """Return the part of a file's page that shows it, as HTML."""
    answer = client.get(f"{HERE}/browse/{quote(path)}", query_string=query)
    assert answer.status_code == 200
    return answer.get_data(as_text=True).partition('<div class="preview">')[2].partition('<p class="hint">SHA-256')[0]


def read(shown: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", shown).split())


@pytest.mark.parametrize("name", HOSTILE)
def test_no_file_breaks_its_page(client: FlaskClient, mlflow: Mlflow, log: Log, name: str) -> None:
    put(mlflow, log("a"), name, HOSTILE[name])
    for query in ({}, {"plain": ""}, {"scripts": "1"}):
        shown = preview_of(client, name, **query)
        assert len(shown) < 1_000_000
        assert "<script" not in shown
        assert not re.search(r"<img (?!src=\"/1/-/ml/|class=\"thumb\")", shown)
        assert "onerror=alert(1)>" not in shown
        assert "javascript:" not in re.sub(r">[^<]*<", "><", shown)
        assert "\u202e" not in shown


def test_text_has_numbered_lines(client: FlaskClient, mlflow: Mlflow, log: Log) -> None:
    put(mlflow, log("a"), "train.log", b"one\r\ntwo\nthree")
    shown = preview_of(client, "train.log")
    assert "1\n2\n3</pre>" in shown
    assert "one\ntwo\nthree</pre>" in shown


def test_text_in_another_encoding_says_so(client: FlaskClient, mlflow: Mlflow, log: Log) -> None:
    put(mlflow, log("a"), "latin.txt", HOSTILE["latin.txt"])
    shown = read(preview_of(client, "latin.txt"))
    assert "Gr\ufffd\ufffde in cm" in shown
    assert "Some bytes are not UTF-8" in shown


def test_characters_that_turn_text_are_named(client: FlaskClient, mlflow: Mlflow, log: Log) -> None:
    put(mlflow, log("a"), "turned.py", HOSTILE["turned.py"])
    assert "\u27e8U+202E\u27e9resu\u27e8U+202C\u27e9" in preview_of(client, "turned.py")


@pytest.mark.parametrize(
    ("name", "body", "cells"),
    [
        ("a.csv", b"class,recall\nstays,0.95\n", ["class", "recall", "stays", "0.95"]),
        ("a.tsv", b"class\trecall\nstays\t0.95\n", ["class", "recall", "stays", "0.95"]),
        ("a.jsonl", b'{"id": 1, "said": "yes"}\n{"id": 2}\n{"i', ["id", "said", "1", "yes", "2", "null"]),
        ("a.json", b'{"columns": ["id", "p"], "data": [["x", 1], ["y", null]]}', ["id", "p", "x", "1", "y", "null"]),
    ],
)
def test_tables_are_tables(
    client: FlaskClient, mlflow: Mlflow, log: Log, name: str, body: bytes, cells: list[str]
) -> None:
    put(mlflow, log("a"), name, body)
    shown = preview_of(client, name)
    assert re.findall(r"<t[hd][^>]*>([^<]*)</t[hd]>", shown) == cells


def test_a_table_of_pictures_shows_them(client: FlaskClient, mlflow: Mlflow, log: Log) -> None:
    cell = {"type": "image", "filepath": "table_images/a.png", "compressed_filepath": "table_images/a.png.webp"}
    put(mlflow, log("a"), "t.json", json.dumps({"columns": ["p"], "data": [[cell]]}).encode())
    shown = preview_of(client, "t.json")
    assert f'src="{HERE}/pictures/table_images/a.png.webp"' in shown
    assert f'href="{HERE}/browse/table_images/a.png"' in shown


def test_a_long_table_says_how_long(client: FlaskClient, mlflow: Mlflow, log: Log) -> None:
    rows = [[number] for number in range(5_000)]
    put(mlflow, log("a"), "t.json", json.dumps({"columns": ["n"], "data": rows}).encode())
    shown = preview_of(client, "t.json")
    assert shown.count("<tr>") == 201
    assert "The first 200 of 5,000 rows." in shown


def test_json_is_a_tree_that_opens(client: FlaskClient, mlflow: Mlflow, log: Log) -> None:
    run = log("a")
    put(mlflow, run, "c.json", json.dumps({"model": {"depth": 50, "name": "r\u00e9s"}, "none": None}).encode())
    shown = preview_of(client, "c.json")
    assert "<details open><summary><b>model</b>" in shown
    assert '<span class="value">50</span>' in shown
    assert "r\u00e9s" in shown
    assert "&#34;depth&#34;: 50" in preview_of(client, "c.json", plain="")
    put(mlflow, run, "wide.json", HOSTILE["wide.json"])
    assert "The first 2,000 entries" in preview_of(client, "wide.json")
    put(mlflow, run, "deeper.json", HOSTILE["deeper.json"])
    assert "nested too deeply to be shown" in preview_of(client, "deeper.json")


def test_markdown_is_rendered_without_its_html(client: FlaskClient, mlflow: Mlflow, log: Log) -> None:
    put(mlflow, log("a"), "README.md", b"# Model\n\n*good* <b>x</b>\n")
    shown = preview_of(client, "README.md")
    assert "<h3>Model</h3>" in shown
    assert "<em>good</em> &lt;b&gt;x" in shown
    assert "# Model" in preview_of(client, "README.md", plain="")


def test_a_notebook_is_shown_with_its_outputs(client: FlaskClient, mlflow: Mlflow, log: Log) -> None:
    error = {"output_type": "error", "ename": "E", "evalue": "x", "traceback": ["\x1b[0;31mValueError\x1b[0m: no data"]}
    body = notebook(
        markdown("# Churn\n\n*first* try"),
        code(
            "model.fit(x)", stream("epoch 1\repoch 2\n"), display({"image/png": PNG, "text/plain": "<Figure>"}), count=3
        ),
        code("frame", display({"text/html": "<table>", "text/plain": "   a\n0  1"}), error),
        code("plot", display({"text/html": "<div>only html</div>"}), display({"application/x": "1"})),
    )
    put(mlflow, log("a"), "eda.ipynb", body)
    shown = preview_of(client, "eda.ipynb")
    assert "Churn</h" in shown
    assert "<em>first</em>" in shown
    seen = html.unescape(read(shown))
    assert "[3] model.fit(x) epoch 2" in seen
    assert "epoch 1" not in seen
    assert "a 0 1" in seen
    assert "ValueError: no data" in seen
    assert "HTML output, shown as source <div>only html</div>" in seen
    assert "An output that can't be shown here (application/x)." in seen
    assert "&#34;cell_type&#34;: &#34;code&#34;" in preview_of(client, "eda.ipynb", plain="")


def test_pictures_of_a_notebook_are_sent_by_themselves(client: FlaskClient, mlflow: Mlflow, log: Log) -> None:
    svg = "<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>"
    forged = base64.b64encode(SCRIPT).decode()
    pictures = [
        {"image/png": PNG},
        {"image/svg+xml": svg},
        {"image/jpeg": forged},
        {"image/png": 7},
        {"image/png": "é"},
        {},
    ]
    put(mlflow, log("a"), "eda.ipynb", notebook(markdown("x"), code("plot", *map(display, pictures))))
    (png, vector, *_) = re.findall('<img src="([^"]+)"', preview_of(client, "eda.ipynb"))
    sent = client.get(html.unescape(png))
    assert (sent.content_type, sent.data) == ("image/png", base64.b64decode(PNG))
    assert sent.headers["Content-Disposition"] == "attachment"
    again = client.get(html.unescape(png), headers={"If-None-Match": sent.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")
    drawn = client.get(html.unescape(vector), headers={"If-None-Match": sent.headers["ETag"]})
    assert drawn.content_type == "image/svg+xml"
    assert drawn.headers["Content-Security-Policy"].startswith("sandbox; default-src 'none'")
    at = f"{HERE}/pictures/eda.ipynb"
    for query in (
        "",
        "?cell=1&output=2",
        "?cell=1&output=3",
        "?cell=1&output=4",
        "?cell=1&output=5",
        "?cell=-1&output=0",
        "?cell=9&output=0",
    ):
        assert client.get(at + query).status_code == 400, query


@pytest.mark.parametrize("more", ['"', "\u20ac".encode().decode("latin-1"), "x" * 90])
def test_a_picture_is_sent_whatever_else_is_in_its_address(
    client: FlaskClient, mlflow: Mlflow, log: Log, more: str
) -> None:
    put(mlflow, log("a"), "eda.ipynb", notebook(code("plot", display({"image/png": PNG}))))
    put(mlflow, log("b"), "a.png", base64.b64decode(PNG))
    for path, query in ((f"{HERE}/pictures/eda.ipynb", "cell=0&output=0&"), (f"{ML}/candidates/2/pictures/a.png", "")):
        sent = client.get(path, environ_overrides={"QUERY_STRING": query + more})  # as a server passes raw bytes on
        assert sent.status_code == 200
        assert all(value.isascii() for _, value in sent.headers)


def test_html_runs_no_script_until_somebody_says_so(client: FlaskClient, mlflow: Mlflow, log: Log) -> None:
    put(mlflow, log("a"), "page.html", HOSTILE["page.html"])
    shown = preview_of(client, "page.html")
    assert "Run its scripts" in shown
    assert "<iframe" not in shown
    without = preview_of(client, "page.html", scripts="0")
    assert re.search(r'<iframe[^>]* sandbox=""[^>]* src="[^"]+/framed/page\.html">', without)
    run = preview_of(client, "page.html", scripts="1")
    assert re.search(r'<iframe[^>]* sandbox="allow-scripts"[^>]* src="[^"]+/framed/page\.html\?scripts=1">', run)
    for page in ("page.html", "page.html?scripts=1"):
        policy = client.get(f"{HERE}/browse/{page}").headers["Content-Security-Policy"]
        assert "frame-src 'self'" in policy
        assert "script-src 'self';" in policy
    assert "frame-src" not in client.get(f"{HERE}/files").headers["Content-Security-Policy"]


def test_a_framed_file_has_an_origin_of_its_own(client: FlaskClient, mlflow: Mlflow, log: Log) -> None:
    put(mlflow, log("a"), "page.html", HOSTILE["page.html"])
    framed = {"Sec-Fetch-Dest": "iframe"}
    for query, headers, sandbox in (
        ("", framed, "sandbox;"),
        ("?scripts=1", framed, "sandbox allow-scripts;"),
        ("?scripts=1", {}, "sandbox;"),  # over plain HTTP browsers do not say where a document goes
    ):
        answer = client.get(f"{HERE}/framed/page.html{query}", headers=headers, buffered=True)
        policy = answer.headers["Content-Security-Policy"]
        assert policy.startswith(sandbox)
        assert "allow-same-origin" not in policy
        for rule in ("default-src 'none'", "connect-src 'none'", "form-action 'none'", "frame-ancestors 'self'"):
            assert rule in policy
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.data == HOSTILE["page.html"]
    for destination in ("document", "object", "embed", "script", "style"):
        answer = client.get(f"{HERE}/framed/page.html?scripts=1", headers={"Sec-Fetch-Dest": destination})
        assert answer.headers["Location"].endswith("/candidates/1/browse/page.html")


def test_only_what_is_a_pdf_is_sent_as_one(client: FlaskClient, mlflow: Mlflow, log: Log) -> None:
    run = log("a")
    put(mlflow, run, "a.pdf", b"%PDF-1.4\n%%EOF")
    put(mlflow, run, "fake.pdf", SCRIPT)
    assert "<iframe" in preview_of(client, "a.pdf")
    real = client.get(f"{HERE}/framed/a.pdf", buffered=True)
    assert real.content_type == "application/pdf"
    assert "frame-ancestors 'self'" in real.headers["Content-Security-Policy"]
    assert "<iframe" not in preview_of(client, "fake.pdf")
    assert client.get(f"{HERE}/framed/fake.pdf").status_code == 400
    assert client.get(f"{HERE}/framed/notes.txt").status_code == 404


def test_a_svg_is_a_picture_and_no_page(client: FlaskClient, mlflow: Mlflow, log: Log) -> None:
    put(mlflow, log("a"), "bad.svg", HOSTILE["bad.svg"])
    assert f'<img src="{HERE}/pictures/bad.svg"' in preview_of(client, "bad.svg")
    answer = client.get(f"{HERE}/pictures/bad.svg")
    assert answer.content_type.startswith("image/svg+xml")
    assert answer.headers["Content-Disposition"] == "attachment"
    assert answer.headers["Content-Security-Policy"].startswith("sandbox; default-src 'none'")


def test_a_sound_can_be_played_in_parts(client: FlaskClient, mlflow: Mlflow, log: Log) -> None:
    put(mlflow, log("a"), "a.wav", b"RIFF0123456789")
    assert "<audio controls" in preview_of(client, "a.wav")
    assert "media-src 'self'" in client.get(f"{HERE}/browse/a.wav").headers["Content-Security-Policy"]
    part = client.get(f"{HERE}/framed/a.wav", headers={"Range": "bytes=4-7"}, buffered=True)
    assert (part.status_code, part.data, part.content_type) == (206, b"0123", "audio/wav")


def test_parquet_without_its_library_says_what_is_missing(client: FlaskClient, mlflow: Mlflow, log: Log) -> None:
    put(mlflow, log("a"), "t.parquet", b"PAR1")
    assert "pyarrow is not installed on this server" in read(preview_of(client, "t.parquet"))


def test_an_archive_is_not_opened(client: FlaskClient, mlflow: Mlflow, log: Log) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a", b"\0" * 1_000_000)
    put(mlflow, log("a"), "a.zip", packed.getvalue())
    assert "so it can't be shown here" in preview_of(client, "a.zip")
