"""The overview of a run: the trail that it is part of, metrics in brief, and what makes it different."""

import html
import re
from typing import Any

from flask.testing import FlaskClient

from tests.api.trail import SHAS, Trail
from tests.mlflow_client import Mlflow
from tests.team import EXTERNAL_URL, Team
from tests.ui.browsing import ML, TEAM_ML, page, sign_in, team_page
from tests.ui.run_table import Log

BACKENDS = ("sqlite", "postgresql")


def trail_of(shown: str) -> list[str]:
    """Return the text of each station of the strip."""
    strip = shown.partition('<ol class="trail"')[2].partition("</ol>")[0]
    return [" ".join(re.sub(r"<[^>]+>", " ", one).split()) for one in strip.split("<li")[1:]]


def line_of(shown: str, key: str) -> str:
    """Return a metric's line as it is read."""
    found = re.search(rf'<tr data-name="{re.escape(key)}">.*?</tr>', shown, re.DOTALL)
    assert found
    return " ".join(re.sub(r"<[^>]+>", " ", found[0]).split())


def curve(mlflow: Mlflow, run: str, key: str, values: list[tuple[int, Any]]) -> None:
    points = [{"key": key, "value": value, "step": step, "timestamp": step + 1} for step, value in values]
    mlflow.post("runs/log-batch", run_id=run, metrics=points)


def test_the_strip_goes_from_the_merge_request_to_the_version(
    trail: Trail, team: Team, gitlab_client: FlaskClient
) -> None:
    request = trail.request(SHAS["b"])
    job = trail.train(trail.of_request(request, SHAS["b"]), [0.5])
    trail.work()
    mlflow = trail.person("maintainer")
    eid = trail.runs()[0]["info"]["run_id"]
    mlflow.post("registered-models/create", name="churn")
    mlflow.post("model-versions/create", name="churn", source=f"runs:/{eid}/model", run_id=eid)
    sign_in(gitlab_client, team.tokens["reporter"], base_url=EXTERNAL_URL)
    shown = team_page(gitlab_client, f"{TEAM_ML}/candidates/1")
    stations = trail_of(shown)
    assert [one.split('"')[-1].split(">")[-1].split()[0] for one in stations] == [
        "Merge",
        "Commit",
        "Job",
        "Run",
        "Model",
    ]
    assert "Learn faster" in stations[0]
    assert "verified by its job's token" in stations[2]
    for link in (
        f"/team/churn/-/ml/merge_requests/{request.iid}",
        f"/team/churn/-/commit/{SHAS['b']}",
        f"/team/churn/-/jobs/{job.id}",
        "/team/churn/-/ml/models/churn/versions/1.0.0",
    ):
        assert f'{link}"' in shown.partition('<ol class="trail"')[2].partition("</ol>")[0]
    sign_in(gitlab_client, team.tokens["guest"], base_url=EXTERNAL_URL)
    hidden = trail_of(team_page(gitlab_client, f"{TEAM_ML}/candidates/1"))
    assert len(hidden) == 4
    assert "Learn faster" not in " ".join(hidden)


def test_a_metric_has_its_last_best_and_first_value(client: FlaskClient, mlflow: Mlflow, log: Log) -> None:
    run = log("a", latency_ms=12.0)
    curve(mlflow, run, "val_accuracy", [(step, value) for step, value in enumerate((0.1, 0.7, 0.9, 0.8))])
    curve(mlflow, run, "val_loss", [(0, 2.0), (10, 0.5), (20, 0.6), (30, "NaN")])
    shown = page(client, f"{ML}/candidates/1")
    assert re.search(r"0\.8\d* at 3 ↑ higher is better 0\.9\d* at 2 0\.1", line_of(shown, "val_accuracy"))
    assert re.search(r"NaN at 30 ↓ lower is better 0\.5\d* at 10 2", line_of(shown, "val_loss"))
    assert "12" in line_of(shown, "latency_ms")
    assert shown.count('<svg class="spark"') == 2
    assert "3 values between 0.5" in shown


def test_values_without_steps_and_beyond_all_bounds_have_a_course(
    client: FlaskClient, mlflow: Mlflow, log: Log
) -> None:
    run = log("a")
    points = [
        {"key": "loss", "value": value, "timestamp": at} for at, value in enumerate((3.0, "Infinity", "-Infinity", 1.0))
    ]
    mlflow.post("runs/log-batch", run_id=run, metrics=points)
    raw = client.get(f"{ML}/candidates/1").get_data(as_text=True)
    spark = raw.partition('<svg class="spark"')[2].partition("</svg>")[0]
    assert spark
    assert "nan" not in spark.lower()
    assert "inf" not in re.sub(r'aria-label="[^"]*"', "", spark).lower()
    assert 'style="' not in raw


def test_metrics_beyond_the_first_are_found_by_name(client: FlaskClient, mlflow: Mlflow, log: Log) -> None:
    run = log("a")
    for number in range(40):
        curve(mlflow, run, f"recall/class_{number:02}", [(0, 0.1), (1, 0.2)])
    shown = page(client, f"{ML}/candidates/1")
    assert shown.count('<svg class="spark"') == 12
    assert shown.count('data-live-metric="recall') == 40
    found = page(client, f"{ML}/candidates/1?find=CLASS_39")
    assert found.count('data-live-metric="recall') == 1
    assert found.count('<svg class="spark"') == 1
    assert "Nothing here has “nothing” in its name" in page(client, f"{ML}/candidates/1?find=nothing")


def test_parameters_that_make_a_run_different_come_first(client: FlaskClient, log: Log) -> None:
    for name in ("a", "b", "c"):
        log(name, params={"batch": "32", "lr": "0.1", "seed": name})
    log("d", params={"batch": "32", "lr": "0.3", "seed": "d", "extra": "<b>new</b>"})
    raw = client.get(f"{ML}/candidates/4").get_data(as_text=True)
    params = raw.partition('id="params"')[2].partition("</section>")[0]
    assert re.findall(r'data-name="(\w+)"', params) == ["extra", "lr", "batch", "seed"]
    assert "most others: 0.1" in params
    assert "most others: not set" in params
    assert 'title="in 3 of the 3 newest other runs"' in params
    assert "&lt;b&gt;new" in params


def test_a_run_that_nobody_vouches_for_says_so(client: FlaskClient, mlflow: Mlflow, log: Log) -> None:
    run = log("laptop")
    mlflow.post("runs/set-tag", run_id=run, key="mlflow.source.git.commit", value="c" * 40)
    shown = html.unescape(client.get(f"{ML}/candidates/1").get_data(as_text=True))
    stations = trail_of(shown)
    assert "cccccccccccc according to its client" in stations[1]
    assert "none logged from elsewhere" in stations[2]
    assert "No CI job created this run" in shown
