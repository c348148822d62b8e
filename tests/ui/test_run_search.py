"""Finding runs by words and times, how many match, and children under their parents."""

import html
import re

import pytest
from flask.testing import FlaskClient

from mltrail_server.services.pages import matching
from tests.clock import DAY, START
from tests.mlflow_client import Mlflow
from tests.statements import Counter
from tests.ui.browsing import page
from tests.ui.run_table import ROOT, Log, names, url

BACKENDS = ("sqlite", "postgresql")
PARENT = "mlflow.parentRunId"


def test_words_are_found_wherever_a_run_has_them(client: FlaskClient, log: Log, mlflow: Mlflow) -> None:
    log("Große Linde", params={"model": "ResNet50", "note": "50% o_f"}, accuracy=0.1)
    made = log("birch", params={"model": "tree"})
    mlflow.post("runs/set-tag", run_id=made, key="team", value="Vision")
    mlflow.post("runs/set-tag", run_id=made, key="mlflow.source.git.commit", value="abc123" + "0" * 34)
    mlflow.post("runs/set-tag", run_id=made, key="mlflow.log-model.history", value="hidden")
    for word, found in {
        "linde": ["Große Linde"],
        "GROSSE": [],
        "GROßE": ["Große Linde"],
        "resnet": ["Große Linde"],
        "net50": ["Große Linde"],
        "vision": ["birch"],
        "abc123": ["birch"],
        made[:8]: ["birch"],
        "hidden": [],
        "50%": ["Große Linde"],
        "o_f": ["Große Linde"],
        "o%f": [],
        "birch vision tree": ["birch"],
        "birch resnet": [],
        '"e l"': ["Große Linde"],
    }.items():
        assert names(page(client, url(filter=word))) == found, word


@pytest.mark.parametrize("few", [2, 1000], ids=["many", "few"])
def test_words_in_a_large_experiment_are_looked_up_or_walked(
    client: FlaskClient, log: Log, monkeypatch: pytest.MonkeyPatch, few: int
) -> None:
    monkeypatch.setattr(matching, "_EACH_LOOKED_AT", 0)
    monkeypatch.setattr(matching, "_FEW", few)
    for number in range(6):
        log(f"run {number}", params={"model": "ResNet" if number % 2 else "tree", "lr": str(number / 7)})
    assert names(page(client, url(filter="resnet"))) == ["run 5", "run 3", "run 1"]
    assert names(page(client, url(filter="tree run"))) == ["run 4", "run 2", "run 0"]
    assert names(page(client, url(filter="0.1428"))) == ["run 1"]
    nothing = page(client, url(filter="nowhere"))
    assert "0 of 6 runs" in nothing
    assert "Words are looked for in" in nothing
    assert "different values is searched only for values that begin with the word" in nothing


def test_a_page_looks_at_so_many_runs_and_the_next_goes_on(
    client: FlaskClient, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"_EACH_LOOKED_AT": 0, "_FEW": 0, "_WINDOW": 4}.items():
        monkeypatch.setattr(matching, name, value)
    for number in range(10):
        log(f"{'odd' if number in (0, 7) else 'plain'} {number}")
    found: list[str] = []
    address = url(filter="odd")
    for _ in range(3):
        raw = client.get(address).get_data(as_text=True)
        found += names(raw)
        following = re.search(r'rel="next" href="([^"]+)"', raw)
        if following is None:
            break
        assert "Only 4 runs were searched for this page" in raw
        address = ROOT + html.unescape(following[1])
    assert found == ["odd 7", "odd 0"]


def test_times_and_periods_filter_by_the_clock_and_pages_follow(client: FlaskClient, mlflow: Mlflow, log: Log) -> None:
    for days in range(60):
        mlflow.post("runs/create", experiment_id="0", run_name=f"day {days}", start_time=START - days * DAY)
    assert len(names(page(client, url(filter="last 7 days")))) == 8
    assert names(page(client, url(filter="yesterday"))) == ["day 1"]
    assert names(page(client, url(filter="today day"))) == ["day 0"]
    assert names(page(client, url(filter="start_time > '2 days ago' AND start_time < 'today'"))) == ["day 1", "day 2"]
    first = client.get(url(filter="last 100 days")).get_data(as_text=True)
    assert "60 of 60 runs" in first
    assert "Remove last 100 days" in first
    following = re.search(r'rel="next" href="([^"]+)"', first)
    assert following
    assert len(names(page(client, ROOT + html.unescape(following[1])))) == 10
    assert "can't be read as a time" in page(client, url(filter="start_time > 'soon'"))


def test_the_api_knows_neither_words_nor_written_times(mlflow: Mlflow, log: Log) -> None:
    log("tree")
    for text in ("tree", "start_time > 'yesterday'", "last 7 days"):
        assert (
            mlflow.call(
                "POST", "api/2.0/mlflow/runs/search", json={"experiment_ids": ["0"], "filter": text}
            ).status_code
            == 400
        )


def test_the_count_respects_the_filter(client: FlaskClient, log: Log) -> None:
    for number in range(60):
        log(f"run {number}", loss=float(number))
    assert "60 runs" in page(client, ROOT)
    assert "0 of 60 runs" in page(client, url(filter="metrics.loss > 100"))
    assert "55 of 60 runs" in page(client, url(filter="metrics.loss >= 5"))
    assert "3 of 60 runs" in page(client, url(filter="metrics.loss >= 57"))


class Family:
    """Logs runs and says who is whose parent."""

    def __init__(self, log: Log, mlflow: Mlflow) -> None:
        self.log, self.mlflow = log, mlflow
        self.eids: dict[str, str] = {}

    def add(self, name: str, parent: str | None = None) -> None:
        self.eids[name] = self.log(name, m=1.0)
        if parent is not None:
            self.adopt(name, parent)

    def adopt(self, name: str, parent: str) -> None:
        self.mlflow.post("runs/set-tag", run_id=self.eids[name], key=PARENT, value=self.eids.get(parent, parent))


@pytest.fixture
def family(log: Log, mlflow: Mlflow) -> Family:
    return Family(log, mlflow)


def opened(shown: str, count: str, *others: str) -> str:
    """Return the address in which the parent with so many children is opened, beside others."""
    found = re.search(rf'value="open:(\d+)" class="fold"[^>]*>(?:<svg.*?</svg>)?\s*{count}', shown)
    assert found, count
    return url(open=[found[1], *others])


def test_children_are_folded_under_their_parents_and_opened(client: FlaskClient, family: Family) -> None:
    family.add("sweep")
    for number in range(3):
        family.add(f"trial {number}", "sweep")
    family.add("deeper", "trial 1")
    family.add("alone")
    shown = client.get(ROOT).get_data(as_text=True)
    assert names(shown) == ["alone", "sweep"]
    assert "6 runs" in shown
    first = client.get(opened(shown, "3 child runs")).get_data(as_text=True)
    assert names(first) == ["alone", "sweep", "trial 2", "trial 1", "trial 0"]
    deeper = page(client, opened(first, "1 child run<", "1"))
    assert names(deeper) == ["alone", "sweep", "trial 2", "trial 1", "deeper", "trial 0"]
    assert names(page(client, url(flat="1")))[:2] == ["alone", "deeper"]
    assert len(names(page(client, url(filter="trial")))) == 3
    assert len(names(page(client, url(order="metrics.m DESC")))) == 6


def test_no_run_is_hidden_by_odd_parents(client: FlaskClient, family: Family, mlflow: Mlflow) -> None:
    for name in ("a", "b", "c", "self", "orphan", "of deleted", "deleted", "late parent", "early child"):
        family.add(name)
    for name, parent in {"a": "b", "b": "c", "c": "a", "self": "self", "orphan": "0" * 32}.items():
        family.adopt(name, parent)
    family.adopt("of deleted", "deleted")
    family.adopt("early child", "late parent")
    mlflow.post("runs/delete", run_id=family.eids["deleted"])
    other = mlflow.post("experiments/create", name="other")["experiment_id"]
    elsewhere = mlflow.post("runs/create", experiment_id=other)["run"]["info"]["run_id"]
    family.add("of another experiment", elsewhere)
    shown = names(page(client, ROOT))
    assert set(shown) >= {"self", "orphan", "of deleted", "late parent", "of another experiment"}
    assert "early child" not in shown
    everything = page(client, url(open=["1", "2", "3", "8"]))
    assert set(names(everything)) == {*family.eids} - {"deleted"}
    mlflow.post("runs/restore", run_id=family.eids["deleted"])
    assert "of deleted" not in names(page(client, ROOT))


def test_a_parent_shows_a_part_of_many_children(client: FlaskClient, family: Family) -> None:
    family.add("sweep")
    for number in range(53):
        family.add(f"trial {number}", "sweep")
    shown = client.get(ROOT).get_data(as_text=True)
    some = page(client, opened(shown, "53 child runs"))
    assert names(some)[:2] == ["sweep", "trial 52"]
    assert len(names(some)) == 51
    every = re.search(r'50 shown</button> <a href="([^"]+)">show all', some)
    assert every
    assert "53 of 54 runs" in page(client, ROOT + every[1])


def test_folding_costs_the_same_number_of_statements_at_any_size(
    client: FlaskClient, family: Family, statements: Counter
) -> None:
    counts = []
    for size in (1, 20):
        for number in range(size):
            family.add(f"sweep {size} {number}")
            family.add(f"trial {size} {number}", f"sweep {size} {number}")
        with statements() as seen:
            page(client, url(open=[str(iid) for iid in range(1, 20)]))
        counts.append(len(seen))
    assert counts[0] == counts[1] <= 17
