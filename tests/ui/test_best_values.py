"""Which value of a metric is marked as the best: by the contract's direction, among all runs that match."""

import html
import re

import pytest
from flask.testing import FlaskClient

from mltrail_server.services.pages import tables
from tests.api.promotion.promoting import promote
from tests.api.trail import SHAS, Trail
from tests.statements import Counter
from tests.team import EXTERNAL_URL, Team
from tests.ui.browsing import page, sign_in
from tests.ui.run_table import ROOT, Log, url

CONTRACT = """
version: 1
models:
  churn:
    runs: {experiment: churn}
    rules: [{metric: val_accuracy, better: lower, at_most: 0.5}]
"""


def marked(shown: str) -> list[str]:
    return re.findall(r'<td class="number best">([^<]+)<', shown)


def test_the_best_of_all_pages_is_marked_not_each_pages_own(client: FlaskClient, log: Log) -> None:
    for number in range(60):
        log(f"run {number:02}", accuracy=number / 100, loss=1 - number / 100)
    log("broken", status="FAILED", accuracy=0.99)
    first = client.get(url(order="metrics.accuracy ASC")).get_data(as_text=True)
    assert marked(first) == []
    assert "The best accuracy (0.59), loss (0.41) are on another page" in page(
        client, url(order="metrics.accuracy ASC")
    )
    following = re.search(r'rel="next" href="([^"]+)"', first)
    assert following
    second = page(client, ROOT + html.unescape(following[1]))
    assert sorted(marked(second)) == ["0.41", "0.59"]
    narrowed = page(client, url(order="metrics.accuracy DESC", filter="metrics.accuracy < 0.57"))
    assert marked(narrowed)[0] == "0.56"


def test_the_best_of_a_large_experiment_takes_one_statement_or_is_marked_as_the_pages(
    client: FlaskClient, log: Log, statements: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "_SMALL_EXPERIMENT", 10)
    for number in range(160):
        values = {"accuracy": number / 1000, "loss": 1 - number / 1000, "score": float(number)}
        log(f"run {number:03}", params={"part": "early" if number < 55 else "late"}, **values)
    with statements() as few:
        page(client, url(c=["metrics.accuracy"]))
    with statements() as more:
        shown = page(client, url(c=["metrics.accuracy", "metrics.loss", "metrics.score"]))
    assert len(few) == len(more) <= 17
    assert marked(shown) == ["0.159", "0.841", "159"]
    assert "only the best on this page is" not in shown
    # The best hundred of the project are all of runs that the filter leaves out, and no index has its runs.
    far = page(client, url(filter="params.part LIKE '%arly'", order="metrics.score DESC", c=["metrics.accuracy"]))
    assert marked(far) == ["0.054"]
    assert "for accuracy, only the best on this page is" in far
    # A filter by a metric leaves few runs, and they are known.
    rare = page(client, url(filter="metrics.score < 55", order="metrics.score ASC", c=["metrics.accuracy"]))
    assert "The best accuracy (0.054) is on another page" in rare


def test_the_contract_file_says_which_way_is_better(trail: Trail, team: Team, gitlab_client: FlaskClient) -> None:
    sign_in(gitlab_client, team.tokens["reporter"], base_url=EXTERNAL_URL)
    files = {".mltrail.yml": CONTRACT}
    team.gitlab.add_commit(team.project, SHAS["b"], parents=("a1" * 20,), branch="main", files=files)
    pipeline = team.gitlab.add_pipeline(team.project, SHAS["b"], "main", "push")
    trail.train(pipeline, [0.8, 0.3, 0.6])
    table, compare = "/team/churn/-/ml/experiments/1", "/team/churn/-/ml/compare?run=1&run=2&run=3"

    def shown(path: str) -> str:
        return html.unescape(gitlab_client.get(path, base_url=EXTERNAL_URL).get_data(as_text=True))

    assert marked(shown(table)) == ["0.8"]
    assert "higher is better for this well-known metric" in shown(table)
    assert "a guess from the name" not in shown(compare)
    assert re.findall(r'class="delta (\w+)"', shown(compare)) == ["worse", "worse"]
    trail.report(pipeline)
    assert marked(shown(table)) == ["0.3"]
    assert "lower is better, according to the contract file" in shown(table)
    assert "↑?" not in shown(table)
    assert re.findall(r'class="delta (\w+)"', shown(compare)) == ["better", "better"]


def test_no_best_is_marked_where_the_direction_is_unknown(client: FlaskClient, log: Log) -> None:
    for number in (0.2, 0.9):
        log(f"run-{number}", toxicity_score=number, cost_savings=number, toxicity_f1=number, val_f1=number)
    shown = page(client, url(c=["metrics.toxicity_score", "metrics.cost_savings"]))
    assert marked(shown) == []
    assert marked(page(client, url(c=["metrics.toxicity_f1", "metrics.val_f1"]))) == ["0.9", "0.9"]
    assert "assumed to be better: a guess from the name" in page(client, url(c=["metrics.toxicity_f1"]))
    assert "guess" not in page(client, url(c=["metrics.val_f1"]))


def test_a_models_versions_show_their_metrics_and_are_compared(
    trail: Trail, team: Team, gitlab_client: FlaskClient
) -> None:
    sign_in(gitlab_client, team.tokens["reporter"], base_url=EXTERNAL_URL)
    for name, value in (("b", 0.8), ("d", 0.9)):
        pipeline = trail.main(SHAS[name])
        trail.train(pipeline, [value], lr=str(value))
        promote(trail, pipeline)
    shown = gitlab_client.get("/team/churn/-/ml/models/churn", base_url=EXTERNAL_URL).get_data(as_text=True)
    assert re.findall(r'<td class="number">(0\.\d+)</td>', shown) == ["0.9", "0.8"]
    assert re.findall(r'name="run" value="(\d+)"', shown) == ["2", "1"]
    compared = gitlab_client.get("/team/churn/-/ml/compare?of=models/churn&run=2&run=1", base_url=EXTERNAL_URL)
    assert re.findall(r'class="delta (\w+)">\D*10 pp', compared.get_data(as_text=True)) == ["worse"]
