"""Runs in groups: by a parameter, a tag, their job or pipeline, or as repeats of each other."""

import html
import math
import re
import statistics
from urllib.parse import urlencode

from flask.testing import FlaskClient

from tests.api.trail import SHAS, Trail
from tests.mlflow_client import Mlflow
from tests.statements import Counter
from tests.team import EXTERNAL_URL, Team
from tests.ui.browsing import page, sign_in
from tests.ui.run_table import ROOT, Log, post, url

BACKENDS = ("sqlite", "postgresql")


def labels(shown: str) -> list[str]:
    """List what the groups share, in the order of the page."""
    found = re.findall(r'<tr id="group-\w+".*?</th>', shown, re.DOTALL)
    return [re.sub(r"\s+", " ", re.sub(r'<span class="sr">.*?</span>|<[^>]+>', "", one)).strip() for one in found]


def cells(shown: str) -> list[str]:
    found = re.findall(r'<td class="number[^"]*">(.*?)</td>', shown, re.DOTALL)
    return [re.sub(r"\s+", " ", re.sub(r'<span class="sr">.*?</span>|<[^>]+>', "", one)).strip() for one in found]


def test_a_group_shows_mean_and_spread_without_failed_runs(client: FlaskClient, log: Log) -> None:
    for value in (0.5, 0.6, 0.7):
        log("net", params={"model": "net"}, accuracy=value)
    log("net", params={"model": "net"}, status="FAILED", accuracy=0.99)
    log("tree", params={"model": "tree"}, accuracy=0.9)
    log("bare", accuracy=0.1)
    shown = page(client, url(group="params.model", order="metrics.accuracy DESC"))
    assert labels(shown) == ["tree", "net", "none"]
    spread = statistics.stdev([0.5, 0.6, 0.7])
    assert cells(shown)[:4] == ["1", "0.9 one run", "4 (1 failed)", f"0.60 ± {spread:.2f}"]
    assert 'class="number best"' in shown
    assert "3 groups of 6 runs" in shown
    assert labels(page(client, url(group="params.model", order="metrics.accuracy ASC"))) == ["none", "net", "tree"]
    assert labels(page(client, url(group="params.model", order="count DESC")))[0] == "net"


def test_keys_sort_as_numbers_and_the_group_without_one_comes_last(client: FlaskClient, log: Log) -> None:
    for value in ("10", "9", "1e-3", "auto"):
        log("run", params={"lr": value}, loss=1.0)
    log("bare", loss=1.0)
    assert labels(page(client, url(group="params.lr", order="key ASC"))) == ["1e-3", "9", "10", "auto", "none"]
    assert labels(page(client, url(group="params.lr", order="key DESC"))) == ["auto", "10", "9", "1e-3", "none"]


def test_nan_and_infinity_enter_no_mean(client: FlaskClient, log: Log) -> None:
    for value in (1.0, 3.0, math.nan, math.inf, -math.inf):
        log("run", params={"a": "x"}, loss=value)
    assert cells(page(client, url(group="params.a")))[:2] == ["5", "2.0 ± 1.4"]


def test_repeats_differ_in_seed_and_fold_only(client: FlaskClient, log: Log) -> None:
    for lr in ("0.1", "0.2"):
        for seed in ("1", "2", "3"):
            log("run", params={"lr": lr, "seed": seed, "fold": seed, "same": "x"}, accuracy=float(lr) + int(seed) / 100)
    shown = page(client, url(group="repeats", order="metrics.accuracy DESC"))
    assert labels(shown) == ["0.2", "0.1"]
    assert cells(shown)[:2] == ["3", "0.220 ± 0.010"]
    assert "apart from fold, random_state, seed" in shown


def test_copies_of_a_run_count_once(client: FlaskClient, log: Log) -> None:
    """As in the note: copies of a lucky run would outweigh the others, and make the spread look small."""
    for seed, value in (("1", 0.5), ("2", 0.6), ("3", 0.9), ("3", 0.9), ("3", 0.9)):
        log("net", params={"lr": "0.1", "seed": seed}, accuracy=value, loss=value)
    for by in ("repeats", "params.lr"):
        shown = page(client, url(group=by))
        assert cells(shown)[:2] == ["5 (2 copies)", f"{statistics.fmean([0.5, 0.6, 0.9]):.2f} ± 0.21"], by
    opened = re.findall(r'name="run" value="1-5"[^>]*data-group="(\w+)"', shown)[0]
    assert page(client, url(group="params.lr", open=opened)).count(">copy<") == 2


def test_what_only_looks_like_a_copy_counts(client: FlaskClient, log: Log) -> None:
    for loss in (1.0, 2.0):  # which is not shown
        log("net", params={"case": "other results", "seed": "1"}, accuracy=0.9, loss=loss)
    for seed in ("1", "2"):
        log("net", params={"case": "other seeds", "seed": seed}, accuracy=0.9, loss=1.0)
    for _ in range(2):
        log("net", params={"case": "no seed"}, accuracy=0.9, loss=1.0)
    for _ in range(2):
        log("net", params={"case": "nothing else", "seed": "1"}, accuracy=0.9, loss=1.0)
    shown = page(client, url(group="params.case", c="metrics.accuracy"))
    assert cells(shown)[::2] == ["2"] * 4


def test_a_box_of_a_group_stands_for_its_runs(client: FlaskClient, log: Log) -> None:
    for number in range(3):
        log("net", params={"model": "net"}, accuracy=number / 10)
    log("tree", params={"model": "tree"}, accuracy=0.9)
    log("net", params={"model": "net"}, accuracy=0.5)
    where = {"group": "params.model", "order": "key DESC"}
    shown = page(client, url(**where))
    assert re.findall(r'name="run" value="([^"]+)"', shown) == ["4", "1-3,5"]
    assert "All 2 groups on this page" in shown
    assert 'name="page_runs" value="4,1-3,5"' in shown
    compared = post(client, "runs", do="compare", run="1-3,5", query=urlencode(where))
    assert compared.headers["Location"].endswith("&run=1&run=2&run=3&run=5")
    post(client, "runs", do="delete", runs="1-3,5", sure="1", query=urlencode(where))
    assert labels(page(client, url(**where))) == ["tree"]


def test_all_runs_of_a_grouped_page_can_be_chosen_and_exported(client: FlaskClient, log: Log) -> None:
    """Groups have orders that runs don't have."""
    log("one", params={"model": "net"}, accuracy=0.1)
    log("two", params={"model": "tree"}, accuracy=0.9)
    for order in ("key DESC", "count ASC"):
        query = urlencode({"group": "params.model", "order": order})
        assert "Tag 2 runs?" in post(client, "runs", do="tag", which="all", query=query, key="a", value="b").text
        assert len(client.get(f"{ROOT}.csv?{query}").text.splitlines()) == 3


def test_an_opened_group_shows_its_runs_and_leads_to_them(client: FlaskClient, log: Log) -> None:
    for number in range(3):
        log(f"net {number}", params={"model": "it's \"`odd`"}, accuracy=number / 10)
    log("tree", params={"model": "tree <b>"}, accuracy=0.9)
    raw = client.get(url(group="params.model", order="key DESC")).get_data(as_text=True)
    opening = html.unescape(re.findall(r'<a class="fold" href="([^"#]+)', raw)[0])
    opened = client.get(ROOT + opening).get_data(as_text=True)
    assert re.findall(r"candidates/\d+\">([^<]+)", opened) == ["tree"]
    assert "tree &lt;b&gt;" in opened
    following = html.unescape(re.findall(r'<td class="number"><a href="([^"]+)" title', raw)[0])
    assert re.findall(r"candidates/\d+\">([^<]+)", page(client, ROOT + following)) == ["tree"]
    # No filter can name a value with all kinds of quotes.
    assert len(re.findall(r'<td class="number"><a href', raw)) == 1


def test_filters_and_words_choose_what_is_grouped(client: FlaskClient, log: Log) -> None:
    for number in range(4):
        log(f"{'good' if number % 2 else 'bad'}", params={"a": str(number)}, loss=float(number))
    assert labels(page(client, url(group="params.a", filter="metrics.loss > 1", order="key"))) == ["2", "3"]
    assert labels(page(client, url(group="params.a", filter="good", order="key"))) == ["1", "3"]
    assert "No runs match" in page(client, url(group="params.a", filter="nowhere"))


def test_groups_have_pages(client: FlaskClient, log: Log) -> None:
    for number in range(53):
        log("run", params={"a": str(number)}, loss=float(number))
    first = client.get(url(group="params.a", order="key")).get_data(as_text=True)
    following = re.search(r'rel="next" href="([^"]+)"', first)
    assert following
    second = page(client, ROOT + html.unescape(following[1]))
    assert labels(first) + labels(second) == [str(number) for number in range(53)]
    assert "The address of this page is damaged" in page(client, url(group="params.a", page="nonsense"))


def test_what_runs_cannot_be_grouped_by_is_explained(client: FlaskClient, log: Log) -> None:
    log("run", loss=1.0)
    for odd in ("colour", "params.", "metrics.loss", "params"):
        assert "can't be grouped by" in page(client, url(group=odd))


def test_tags_group_too_whatever_they_are_called(client: FlaskClient, log: Log, mlflow: Mlflow) -> None:
    for stage in ("dev", "prod", "prod"):
        made = log("run", loss=1.0)
        mlflow.post("runs/set-tag", run_id=made, key="my stage/ü", value=stage)
    shown = page(client, url(group="tags.my stage/ü", order="count DESC"))
    assert labels(shown) == ["prod", "dev"]


def test_groups_cost_the_same_number_of_statements_at_any_size(
    client: FlaskClient, log: Log, statements: Counter
) -> None:
    for _ in range(2):
        log("like another", params={"a": "0"}, m=0.0)
    for by in ("params.a", "tags.t", "job", "pipeline", "repeats"):
        counts = []
        for size in (1, 60):
            for number in range(size if by == "params.a" else 1):
                log("run", params={"a": str(number)}, m=float(number))
            with statements() as seen:
                page(client, url(group=by, order="metrics.m DESC"))
            counts.append(len(seen))
        assert counts[0] == counts[1] <= 17, by


def test_jobs_and_pipelines_group_their_runs(trail: Trail, team: Team, gitlab_client: FlaskClient) -> None:
    first, second = trail.main(SHAS["b"]), trail.main(SHAS["c"])
    trail.train(first, [0.5, 0.7])
    trail.train(second, [0.9])
    sign_in(gitlab_client, team.tokens["reporter"], base_url=EXTERNAL_URL)

    def shown(by: str) -> str:
        query = urlencode({"group": by, "order": "key"})
        address = f"/team/churn/-/ml/experiments/1?{query}"
        return html.unescape(gitlab_client.get(address, base_url=EXTERNAL_URL).get_data(as_text=True))

    assert labels(shown("pipeline")) == [f"#{first.id}", f"#{second.id}"]
    assert cells(shown("pipeline"))[0] == "2"
    assert len(labels(shown("job"))) == 1
    assert cells(shown("job"))[0] == "3"
