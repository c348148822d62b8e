"""A dataset's page: what it is, what rests on it, and what changed."""

import html
import json
import re
from typing import Any

from flask.testing import FlaskClient

from mltrail_server.services.context.deps import Deps
from tests import databases
from tests.api.trail import SHAS, Trail
from tests.mlflow_client import LOCAL_TOKEN, Mlflow
from tests.statements import statements_of
from tests.team import Team
from tests.ui.browsing import ML, TEAM_ML, page, sign_in, team_page
from tests.ui.several_projects import enter, fill

BACKENDS = databases.BACKENDS


def schema(**columns: str) -> str:
    return json.dumps({"mlflow_colspec": [{"name": name, "type": kind} for name, kind in columns.items()]})


def log(mlflow: Mlflow, run: str, digest: str, context: str = "training", **more: Any) -> None:
    dataset = {"name": "customers", "digest": digest, "source_type": "local", "source": '{"uri": "data/c.csv"}', **more}
    tags = [{"key": "mlflow.data.context", "value": context}]
    mlflow.post("runs/log-inputs", run_id=run, datasets=[{"dataset": dataset, "tags": tags}])


def test_what_used_a_dataset_and_what_rests_on_it(client: FlaskClient, mlflow: Mlflow) -> None:
    sign_in(client, LOCAL_TOKEN)
    assert "No datasets yet" in page(client, f"{ML}/datasets")
    trains, judges, gone = fill(mlflow, experiment="e", runs=("trains", "judges", "gone"), models=("churn",))
    profile = json.dumps({"num_rows": 7043, "num_elements": 147903})
    log(mlflow, trains, "9f2c41aa", schema=schema(tenure="long", charges="double"), profile=profile)
    log(mlflow, judges, "9f2c41aa", "evaluation")
    log(mlflow, gone, "9f2c41aa", "evaluation")
    mlflow.post("runs/delete", run_id=gone)
    mlflow.post("model-versions/create", name="churn", source=f"runs:/{trains}/model", run_id=trains)
    mlflow.post("registered-models/alias", name="churn", alias="champion", version="1")
    assert "9f2c41aa" in page(client, f"{ML}/datasets")
    shown = page(client, f"{ML}/datasets/9f2c41aa")
    for text in ("customers", "local: data/c.csv", "7043", "tenure", "double", "churn 1.0.0", ">champion<"):
        assert text in shown
    judged, used = shown.split("Runs that used it")
    assert ">judges</a>" in judged
    assert ">trains</a>" in used
    assert ">gone</a>" not in shown


def test_two_clicks_lead_from_a_version_to_all_versions_based_on_its_data(client: FlaskClient, mlflow: Mlflow) -> None:
    sign_in(client, LOCAL_TOKEN)
    old, new = fill(mlflow, experiment="e", runs=("old", "new"), models=("churn",))
    for run in (old, new):
        log(mlflow, run, "9f/2c?")
        mlflow.post("model-versions/create", name="churn", source=f"runs:/{run}/model", run_id=run)
    link = re.compile(r'<a href="([^"]*/datasets/[^"]*)">customers</a> ?(?:</th><td>)?<code>9f/2c\?</code>')
    for path in (f"{ML}/models/churn/versions/1", f"{ML}/candidates/2"):
        (dataset,) = link.findall(page(client, path))
        shown = page(client, html.unescape(dataset))
        assert re.findall(r'versions/\d+">(churn [0-9.]+)</a>', shown) == ["churn 1.0.1", "churn 1.0.0"]


def test_what_changed_from_digest_to_digest(client: FlaskClient, mlflow: Mlflow) -> None:
    sign_in(client, LOCAL_TOKEN)
    runs = fill(mlflow, experiment="e", runs=tuple("abcd"))
    log(mlflow, runs[0], "1111", schema=schema(tenure="long", city="string"))
    log(mlflow, runs[1], "2222", schema=schema(tenure="double", country="string"))
    log(mlflow, runs[2], "3333", schema=schema(tenure="double", country="string"))
    log(mlflow, runs[3], "4444")
    shown = page(client, f"{ML}/datasets/1111")
    assert "There is a newer digest" in shown
    assert "No schema was logged" in shown
    assert "only the values changed" in shown
    assert "Added <code>country</code>" in shown
    assert "Removed <code>city</code>" in shown
    assert "<code>tenure</code>: long → double" in shown
    assert shown.count("First digest") == 1
    listed = page(client, f"{ML}/datasets?find=CUST")
    assert "4444" in listed
    assert "1111" not in listed


def test_digests_names_and_numbers_lead_to_it(client: FlaskClient, mlflow: Mlflow) -> None:
    sign_in(client, LOCAL_TOKEN)
    (run,) = fill(mlflow, experiment="e", runs=("r",))
    log(mlflow, run, "77/é?")
    log(mlflow, run, "77/é?", name="<b>others</b>")
    (other,) = fill(mlflow, experiment="f", runs=("s",))
    log(mlflow, other, "77/é?")
    both = page(client, f"{ML}/datasets/77/%C3%A9%3F?name=customers")
    assert "also logged as" in both
    raw = client.get(f"{ML}/datasets/77/%C3%A9%3F").get_data(as_text=True)
    assert "<b>others" not in raw
    by_number = client.get(f"{ML}/datasets/1")
    assert by_number.headers["Location"] == f"{ML}/datasets/77%2F%C3%A9%3F?name=customers"
    assert "customers" in page(client, by_number.headers["Location"])
    for missing in ("nothing", "99", "9" * 40, "77/%C3%A9%3F?name=nobody"):
        assert client.get(f"{ML}/datasets/{missing}").status_code == 404


def test_the_merge_request_that_changed_it_is_named_to_whoever_may_see_it(
    trail: Trail, team: Team, gitlab_client: FlaskClient
) -> None:
    trail.train(trail.main(SHAS["b"]), [0.8], data={"training": "aaaa"})
    request = trail.request(SHAS["c"])
    trail.train(trail.of_request(request, SHAS["c"]), [0.8], data={"training": "bbbb"})
    trail.work()
    link = f"{TEAM_ML}/merge_requests/{request.iid}"
    for role, sees in (("guest", False), ("reporter", True)):
        enter(gitlab_client, team.tokens[role])
        shown = team_page(gitlab_client, f"{TEAM_ML}/datasets/bbbb")
        assert "on main" in shown
        assert (link in shown) is sees


def test_it_costs_the_same_statements_for_any_number_of_runs(client: FlaskClient, mlflow: Mlflow, deps: Deps) -> None:
    sign_in(client, LOCAL_TOKEN)
    runs = fill(mlflow, experiment="e", runs=tuple(map(str, range(12))))
    log(mlflow, runs[0], "d0")
    with statements_of(deps) as few:
        page(client, f"{ML}/datasets/d0")
    for number, run in enumerate(runs[1:], 1):
        log(mlflow, run, "d0")
        log(mlflow, run, f"d{number}")
    with statements_of(deps) as many:
        page(client, f"{ML}/datasets/d0")
    assert len(many) == len(few) == 8


def test_half_a_character_in_a_schema_breaks_no_page(client: FlaskClient, mlflow: Mlflow) -> None:
    sign_in(client, LOCAL_TOKEN)
    (run,) = fill(mlflow, experiment="e", runs=("a",))
    half = "\\ud800"
    columns = f'{{"mlflow_colspec": [{{"name": "x{half}", "type": "long"}}]}}'
    log(mlflow, run, "1111", schema=columns, profile=f'{{"{half}": 1}}', source=f'{{"uri": "{half}"}}')
    assert "x\ufffd" in page(client, f"{ML}/datasets/1111")
    for path in ("datasets", "candidates/1", "compare?run=1"):
        assert client.get(f"{ML}/{path}").status_code == 200
