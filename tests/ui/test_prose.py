"""Descriptions and model cards are Markdown: what it shows, and what it can't do.

https://spec.commonmark.org/
"""

import html
import re
import sys
from types import FrameType
from typing import Any

import pytest
from flask.testing import FlaskClient

from mltrail_server.ui import prose
from tests.api.promotion.promoting import promote
from tests.api.trail import SHAS, Trail
from tests.mlflow_client import LOCAL_TOKEN, Mlflow
from tests.team import EXTERNAL_URL, Team
from tests.ui.browsing import page, sign_in


def test_it_shows_what_people_write() -> None:
    text = "# Churn\n\nTrained on **Sunday**\nby *us*, see [why](https://example.com/a?b=1&c=2).\n\n- one\n- two\n"
    shown = prose.shown(text + "\n| a | b |\n|:--|--:|\n| x | 1 |\n\n```python\nprint(1 < 2)\n```\n")
    assert "<h3>Churn</h3>" in shown
    assert "Trained on <strong>Sunday</strong><br />" in shown
    assert '<a href="https://example.com/a?b=1&amp;c=2" rel="nofollow noopener noreferrer">why</a>' in shown
    assert "<li>one</li>" in shown
    assert '<td class="number">1</td>' in shown
    assert "print(1 &lt; 2)" in shown


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "text <img src=x onerror=alert(1)>",
        "![seen](https://example.com/pixel.png)",
        "[a](javascript:alert(1))",
        "[a](JAVASCRIPT&colon;alert(1))",
        "[a](data:text/html,x)",
        "[a](//example.com)",
        "[a](/-/sign-out)",
        "<javascript:alert(1)>",
        '[a](https://example.com "x" onclick="alert(1)")',
        "[a]\n\n[a]: vbscript:x",
        "| a |\n|:-:|\n| x |",
        '```" onclick=alert(1)\nx\n```',
    ],
)
def test_it_can_do_nothing(text: str) -> None:
    shown = str(prose.shown(text))
    tags = re.findall(r"<(/?\w+)((?:[^>\"]|\"[^\"]*\")*)>", shown)
    assert {name.strip("/") for name, _ in tags} <= {
        *("p", "a", "div", "table", "thead", "tbody", "tr", "th", "td", "pre", "code")
    }
    for _, attributes in tags:
        names = set(re.findall(r"([\w-]+)=", re.sub(r'"[^"]*"', "", attributes)))
        assert names <= {"href", "rel", "title", "class", "tabindex"}, shown
    assert all(url.startswith("https://example.com") for url in re.findall(r'href="([^"]*)"', shown))


@pytest.mark.parametrize("unit", ["[", "![", "*a_ ", "a**b", "<", "> ", "a\n-\n", "`" * 9 + " "])
def test_the_work_grows_with_the_text_and_not_with_its_square(unit: str) -> None:
    short, long = (lines_run_to_show(unit * (characters // len(unit))) for characters in (1_000, 2_000))
    assert long < 3 * short  # twice as many if the work grows with the text, four times if with its square


def lines_run_to_show(text: str) -> int:
    """Count the lines of Python that run: unlike the time, they are as many on any machine and under any load."""
    lines = 0

    def count(_frame: FrameType, _event: str, _argument: object) -> Any:
        nonlocal lines
        lines += 1
        return count

    traced_by = sys.gettrace()
    sys.settrace(count)
    try:
        prose.shown(text)
    finally:
        sys.settrace(traced_by)
    return lines


def test_a_long_text_is_shown_as_it_is() -> None:
    assert prose.shown("<b>" * 4000) == f'<pre tabindex="0">{"&lt;b&gt;" * 4000}</pre>'


def test_descriptions_of_runs_and_experiments_are_rendered(
    client: FlaskClient, marked_up_run: str, mlflow: Mlflow
) -> None:
    sign_in(client, LOCAL_TOKEN)
    mlflow.post("runs/set-tag", run_id=marked_up_run, key="mlflow.note.content", value="A **try** <i>")
    mlflow.post("experiments/set-experiment-tag", experiment_id="0", key="mlflow.note.content", value="All *tries*")
    shown = client.get("/1/-/ml/candidates/1").get_data(as_text=True)
    assert "<p>A <strong>try</strong> &lt;i&gt;</p>" in shown
    assert "<p>All <em>tries</em></p>" in page(client, "/1/-/ml/experiments/0")


def test_the_model_card_is_rendered_and_can_be_copied(trail: Trail, team: Team, gitlab_client: FlaskClient) -> None:
    pipeline = trail.main(SHAS["b"])
    trail.train(pipeline, [0.90, 0.91, 0.92])
    promote(trail, pipeline)
    sign_in(gitlab_client, team.tokens["reporter"], base_url=EXTERNAL_URL)
    answer = gitlab_client.get("/team/churn/-/ml/models/churn/versions/1.0.0", base_url=EXTERNAL_URL)
    shown = answer.get_data(as_text=True)
    assert "<h3><code>churn</code> 1.0.0</h3>" in shown
    assert "<th>95 % interval of the mean</th>" in shown
    assert f'<a href="{team.gitlab.url}/team/churn/-/pipelines/{pipeline.id}"' in shown
    assert " style=" not in shown
    assert "# `churn` 1.0.0" in html.unescape(shown)
