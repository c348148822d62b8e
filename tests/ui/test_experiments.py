"""The list of experiments, and errors as pages that lead on."""

import re

from flask.testing import FlaskClient

from mltrail_server.domain.clock import iso
from tests.clock import FrozenClock
from tests.mlflow_client import LOCAL_TOKEN, Mlflow
from tests.ui.browsing import ML, page, sign_in


def listed(shown: str) -> list[str]:
    return re.findall(r'<th scope="row"><a href="[^"]*">([^<]*)</a>', shown)


def test_the_last_change_moves_with_the_newest_run(mlflow: Mlflow, client: FlaskClient, clock: FrozenClock) -> None:
    sign_in(client, LOCAL_TOKEN)
    old = mlflow.post("experiments/create", name="old")["experiment_id"]
    clock.advance(60_000)
    mlflow.post("experiments/create", name="new")
    assert listed(page(client, f"{ML}/experiments"))[:2] == ["new", "old"]
    begun = clock() + 3_600_000
    run = mlflow.post("runs/create", experiment_id=old, start_time=begun)["run"]["info"]["run_id"]
    assert listed(page(client, f"{ML}/experiments"))[:2] == ["old", "new"]
    mlflow.post("runs/update", run_id=run, status="FINISHED", end_time=begun + 120_000)
    assert re.findall(r'datetime="([^"]+)"', page(client, f"{ML}/experiments"))[1] == iso(begun + 120_000)
    assert listed(page(client, f"{ML}/experiments?order=created"))[:2] == ["new", "old"]
    assert listed(page(client, f"{ML}/experiments?order=name"))[1:] == ["new", "old"]
    mlflow.post("runs/delete", run_id=run)
    assert listed(page(client, f"{ML}/experiments"))[:2] == ["new", "old"]


def test_experiments_of_models_without_a_run_are_out_of_the_way(mlflow: Mlflow, client: FlaskClient) -> None:
    sign_in(client, LOCAL_TOKEN)
    mlflow.post("registered-models/create", name="churn")
    mlflow.post("registered-models/create", name="fraud")
    own = mlflow.post("experiments/create", name="[model]own")["experiment_id"]
    mlflow.post("runs/create", experiment_id=own, run_name="r")
    shown = page(client, f"{ML}/experiments")
    assert set(listed(shown)) == {"[model]own", "Default"}
    assert "2 experiments that belong to models have no runs and are hidden" in shown
    everything = page(client, f"{ML}/experiments?models=1")
    assert {"[model]churn", "[model]fraud"} <= set(listed(everything))
    assert "are hidden" not in everything


def test_experiments_are_found_and_paged_in_each_order(mlflow: Mlflow, client: FlaskClient) -> None:
    sign_in(client, LOCAL_TOKEN)
    for number in range(60):
        mlflow.post("experiments/create", name=f"50%_{number:02}")
    for order in ("name", "created", "changed"):
        first = page(client, f"{ML}/experiments?find=50%25_&order={order}")
        following = re.search(r'<a class="button" href="([^"]+)">Next page', first)
        assert following
        second = page(client, f"{ML}/experiments{following[1]}")
        names = listed(first) + listed(second)
        assert sorted(names) == [f"50%_{number:02}" for number in range(60)], order
    assert "No experiment has “500” in its name" in page(client, f"{ML}/experiments?find=500")


def test_an_error_page_leads_on(client: FlaskClient) -> None:
    sign_in(client, LOCAL_TOKEN)
    answer = client.get(f"{ML}/candidates/999")
    shown = answer.get_data(as_text=True)
    assert answer.status_code == 404
    assert "This project has no run number 999." in shown
    assert f'<a href="{ML}/models">Models</a>' in shown
    elsewhere = client.get("/-/nowhere")
    assert elsewhere.status_code == 404
    assert "All projects" in elsewhere.get_data(as_text=True)


def test_local_mode_has_no_menus_of_gitlabs(client: FlaskClient) -> None:
    sign_in(client, LOCAL_TOKEN)
    shown = page(client, f"{ML}/experiments")
    assert "Merge requests" not in shown
    assert "In a pipeline" not in shown
