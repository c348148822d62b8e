"""An experiment's page as a workspace: its address, its small buttons, what is done to many runs, and saved views."""

import html
import re
from urllib.parse import parse_qs, urlparse

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from mltrail_server.domain import limits, ranges
from mltrail_server.ui.colours import colour
from tests.mlflow_client import Mlflow
from tests.team import EXTERNAL_URL, Team
from tests.ui.browsing import form_token, page, sign_in
from tests.ui.run_table import ROOT, Log, names, post, url


def press(client: FlaskClient, button: str, **query: str) -> dict[str, list[str]]:
    """Press a small button, and return the query that it leads to."""
    answer = client.get(url(do=button, **query))
    assert answer.status_code == 303
    return parse_qs(urlparse(answer.headers["Location"]).query, keep_blank_values=True)


def said(client: FlaskClient, answer: TestResponse) -> str:
    """What the page says that a form leads to."""
    assert answer.status_code == 303, answer.get_data(as_text=True)
    shown = page(client, answer.headers["Location"])
    found = re.search(r'<div class="alert \w+" role="\w+">.*?<div>(.*?)</div>', shown, re.DOTALL)
    assert found
    return found[1]


def undo(client: FlaskClient, shown: str) -> str:
    """Press the undo button of a page, and return what is said then."""
    form = re.search(r'<form method="post" action="([^"]+)" class="undo">(.*?)</form>', shown, re.DOTALL)
    assert form
    fields = dict(re.findall(r'name="([^"]+)" value="([^"]*)"', form[2]))
    return said(client, client.post(form[1], data=fields))


def test_small_buttons_change_the_address_and_nothing_else(client: FlaskClient, log: Log) -> None:
    log("one", accuracy=0.5)
    assert press(client, "hide:1", filter="status = 'FINISHED'") == {"filter": ["status = 'FINISHED'"], "hide": ["1"]}
    assert press(client, "hide:1", hide="1") == {}
    assert press(client, "pin:1", smooth="0.6") == {"pin": ["1"], "smooth": ["0.6"]}
    assert press(client, "open:1") == {"open": ["1"]}
    assert press(client, "colour:1:7") == {"colour": ["1:7"]}
    assert press(client, "nonsense:1", hide="1") == {"hide": ["1"]}
    assert press(client, "hide:x") == {}


def test_columns_are_put_in_order(client: FlaskClient, log: Log) -> None:
    log("one", a=1.0, b=2.0)
    answer = client.get(url(do="later:metrics.a", shown=["metrics.a", "metrics.b"]))
    assert parse_qs(urlparse(answer.headers["Location"]).query)["c"] == ["metrics.b", "metrics.a"]
    shown = page(client, url(c=["metrics.b", "metrics.a"]))
    assert shown.index(">b</a>") < shown.index(">a</a>")


def test_hidden_runs_and_colours_are_drawn_as_the_address_says(client: FlaskClient, log: Log, mlflow: Mlflow) -> None:
    for name in ("one", "two"):
        run = log(name)
        points = [{"key": "loss", "value": 1.0 / (step + 1), "timestamp": 1, "step": step} for step in range(3)]
        mlflow.post("runs/log-batch", run_id=run, metrics=points)
    shown = page(client, url(hide=["2"], colour=["1:3"]))
    assert "1 of 2 runs on this page shown" in shown
    assert f'stroke="{colour(3)}" stroke-width="2" fill="{colour(3)}"' in shown
    assert re.search(r'value="hide:2" class="eye" aria-pressed="false"', shown)
    assert 'data-keys="["loss"]"' in shown
    closed = page(client, url(chart=""))
    assert "charts-side" not in closed
    assert 'class="workspace wide"' in page(client, url(side="wide"))


def test_without_curves_the_table_has_the_width(client: FlaskClient, log: Log) -> None:
    log("one", accuracy=0.5)
    assert "workspace closed" in page(client, ROOT)


def test_a_damaged_address_shows_the_page(client: FlaskClient, log: Log) -> None:
    log("one", accuracy=0.5)
    odd = url(pin=["x", "-1", "9" * 30], hide="²", colour=["1", "1:x", ":"], side="up", draw="0", zoom="a", saved="99")
    assert names(page(client, odd)) == ["one"]


class TestMany:
    def test_chosen_runs_are_deleted_after_a_question_and_restored(self, client: FlaskClient, log: Log) -> None:
        for name in ("one", "two", "three"):
            log(name)
        asked = post(client, "runs", do="delete", run=["1", "3"]).get_data(as_text=True)
        assert "Delete 2 runs?" in html.unescape(asked)
        assert "They can be restored at any time" in asked
        assert len(names(page(client, ROOT))) == 3
        answer = post(client, "runs", do="delete", runs="1,3", sure="1")
        shown = page(client, answer.headers["Location"])
        assert "Deleted 2 runs." in shown
        assert names(shown) == ["two"]
        assert undo(client, shown) == "Restored 2 runs."
        assert len(names(page(client, ROOT))) == 3

    def test_all_that_match_are_a_list_by_the_time_they_are_confirmed(self, client: FlaskClient, log: Log) -> None:
        for number in range(4):
            log(f"run {number}", loss=float(number))
        asked = post(client, "runs", do="tag", which="all", query="filter=metrics.loss+>+1", key="stage", value="b")
        shown = html.unescape(asked.get_data(as_text=True))
        assert "Tag 2 runs?" in shown
        assert 'name="runs" value="3-4"' in shown
        log("later", loss=9.0)
        done = post(client, "runs", do="tag", runs="3-4", key="stage", value="b", sure="1")
        assert said(client, done) == "Set “stage” to “b” on 2 runs."
        assert sorted(names(page(client, url(filter="tags.stage = 'b'")))) == ["run 2", "run 3"]
        gone = post(client, "runs", do="untag", runs="1-5", key="stage", sure="1")
        assert said(client, gone) == "Removed “stage” from 2 runs. 3 did not have it."

    def test_choosing_nothing_says_what_to_do(self, client: FlaskClient, log: Log) -> None:
        log("one")
        assert "Tick the runs first" in said(client, post(client, "runs", do="delete"))
        answer = post(client, "runs", do="compare")
        assert answer.headers["Location"].endswith("compare?of=experiments%2F0")

    def test_a_page_of_runs_is_compared(self, client: FlaskClient, log: Log) -> None:
        log("one")
        log("two")
        answer = post(client, "runs", do="compare", which="page", page_runs="2,1")
        assert answer.headers["Location"].endswith("compare?of=experiments%2F0&run=2&run=1")

    def test_of_many_runs_the_first_hundred_are_compared(self, client: FlaskClient, log: Log) -> None:
        """With all of them, the address would be longer than web servers accept."""
        log("one")
        answer = post(client, "runs", do="compare", run="1-900")
        assert len(answer.headers["Location"]) < 2000
        assert "These are the first 100 of 900 runs" in page(client, answer.headers["Location"])

    def test_runs_of_other_experiments_are_left_alone(self, client: FlaskClient, log: Log, mlflow: Mlflow) -> None:
        log("one")
        other = mlflow.post("experiments/create", name="other")["experiment_id"]
        mlflow.post("runs/create", experiment_id=other, run_name="elsewhere")
        assert said(client, post(client, "runs", do="delete", runs="1-2", sure="1")).startswith("Deleted 1 run.")


class TestViews:
    def test_a_view_is_saved_opened_changed_and_deleted(self, client: FlaskClient, log: Log) -> None:
        log("low", loss=1.0)
        log("high", loss=2.0)
        query = "filter=metrics.loss+>+1&smooth=0.6&hide=1"
        answer = post(client, "views", do="save", name="  Best  of the week ", query=query)
        assert "saved=1" in answer.headers["Location"]
        assert "Saved the view" in said(client, answer)
        opened = client.get(f"{ROOT}?saved=1")
        assert opened.status_code == 302
        shown = page(client, opened.headers["Location"])
        assert names(shown) == ["high"]
        assert "Best of the week" in shown
        assert "(changed)" not in shown
        assert "(changed)" in page(client, f"{ROOT}?saved=1&hide=2")
        assert "1 saved view" in page(client, "/1/-/ml/experiments")
        renamed = post(client, "views", do="rename", saved="1", name="Weekly", query=query)
        assert said(client, renamed) == "Renamed the view “Best of the week” to “Weekly”."
        updated = post(client, "views", do="update", saved="1", query="order=metrics.loss+ASC")
        assert said(client, updated) == "Updated the view “Weekly”."
        assert "order=metrics.loss" in client.get(f"{ROOT}?saved=1").headers["Location"]
        gone = post(client, "views", do="delete", saved="1", query="")
        shown = page(client, gone.headers["Location"])
        assert "Deleted the view “Weekly”." in shown
        assert undo(client, shown) == "Saved the view “Weekly”."

    def test_names_are_taken_once_and_have_an_end(self, client: FlaskClient, log: Log) -> None:
        log("one")
        post(client, "views", do="save", name="a", query="")
        assert "already has a saved view 'a'" in said(client, post(client, "views", do="save", name="a", query=""))
        assert "needs a name" in said(client, post(client, "views", do="save", name=" ", query=""))
        long = "x" * (limits.MAX_VIEW_NAME + 1)
        assert "at most 100 characters" in said(client, post(client, "views", do="save", name=long, query=""))
        many = "&".join(f"c=metrics.{number:060}" for number in range(150))
        assert "can be saved" in said(client, post(client, "views", do="save", name="b", query=many))

    def test_a_project_has_so_many_and_no_more(
        self, client: FlaskClient, log: Log, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        log("one")
        monkeypatch.setattr(limits, "MAX_VIEWS", 1)
        post(client, "views", do="save", name="a", query="")
        refused = said(client, post(client, "views", do="save", name="b", query=""))
        assert "Delete one that nobody uses" in refused

    def test_readers_open_views_and_write_none(self, team: Team, gitlab_client: FlaskClient) -> None:
        sign_in(gitlab_client, team.tokens["reporter"], base_url=EXTERNAL_URL)
        data = {"csrf_token": form_token(gitlab_client, base_url=EXTERNAL_URL), "do": "save", "name": "a"}
        there = "/team/churn/-/ml/experiments/0/views"
        assert gitlab_client.post(there, data=data, base_url=EXTERNAL_URL).status_code == 403


@pytest.mark.parametrize(
    ("numbers", "text"), [([3, 1, 2, 7], "1-3,7"), ([5], "5"), ([], ""), ([1, 3, 4], "1,3-4")], ids=str
)
def test_lists_of_numbers_are_short(numbers: list[int], text: str) -> None:
    assert ranges.written(numbers) == text
    assert list(ranges.read(text, most=10)) == sorted(numbers)


@pytest.mark.parametrize("text", ["1-999999999", "x", "1-", "-1", "²", "1-6,8-14"])
def test_a_list_of_numbers_has_an_end(text: str) -> None:
    with pytest.raises(ValueError, match="number"):
        ranges.read(text, most=10)
