"""The table of runs: filter, sort, columns, pages and CSV, all of it in the URL."""

import csv
import html
import io
import re
from urllib.parse import urlencode

from flask.testing import FlaskClient

from tests.api.trail import SHAS, Trail
from tests.statements import Counter
from tests.team import EXTERNAL_URL, Team
from tests.ui.browsing import page, sign_in
from tests.ui.run_table import ROOT, Log, names, url
from tests.ui.several_projects import owner_of


def header(shown: str, label: str) -> str:
    """The URL that a column's header leads to."""
    found = re.search(
        rf'<th scope="col"[^>]*><a href="([^"]+)">(?:<span class="goal".*?</span> )?{re.escape(label)}', shown
    )
    assert found, label
    return ROOT + html.unescape(found[1])


def test_each_column_sorts_by_the_server(client: FlaskClient, log: Log) -> None:
    log("b", params={"lr": "0.1"}, val__loss=0.5)
    log("a", params={"lr": "0.3"}, val__loss=0.2)
    log("c", params={"lr": "0.2"})
    assert names(page(client, ROOT)) == ["c", "a", "b"]
    descending = header(page(client, ROOT), "val/loss")
    assert names(page(client, descending)) == ["b", "a", "c"]
    ascending = header(page(client, descending), "val/loss")
    assert names(page(client, ascending)) == ["a", "b", "c"]
    assert 'aria-sort="ascending"' in page(client, ascending)
    assert names(page(client, header(page(client, ROOT), "lr"))) == ["a", "c", "b"]
    assert names(page(client, header(page(client, ROOT), "Name"))) == ["c", "b", "a"]
    every = url(c=["created", "ended", "author", "job", "pipeline", "mr", "commit"])
    for label in ("Status", "Created", "Ended", "Author", "Job", "Pipeline", "Merge request", "Commit"):
        assert len(names(page(client, header(page(client, every), label)))) == 3


def test_the_filter_has_chips_that_drop_one_comparison(client: FlaskClient, log: Log) -> None:
    log("low", accuracy=0.2, params={"model": "tree"})
    log("high", accuracy=0.9, params={"model": "net"})
    wanted = "metrics.accuracy > 0.1 AND params.model = 'tree'"
    raw = client.get(url(filter=wanted)).get_data(as_text=True)
    assert names(html.unescape(raw)) == ["low"]
    chips = re.findall(r'<span class="chip">.*?<a href="([^"]+)"', raw)
    assert len(chips) == 2
    assert names(page(client, ROOT + html.unescape(chips[1]))) == ["high", "low"]
    assert names(page(client, ROOT + html.unescape(chips[0]))) == ["low"]


def test_the_form_next_to_the_filter_adds_to_it(client: FlaskClient, log: Log) -> None:
    log("low", val__acc=0.2)
    log("high", val__acc=0.9)
    answer = client.get(
        url(filter="status = 'FINISHED'", order="metrics.`val/acc` ASC", k="metrics.val/acc", op=">", v="0.5")
    )
    assert answer.status_code == 303
    assert names(page(client, answer.headers["Location"])) == ["high"]
    assert "order=metrics" in answer.headers["Location"]
    wrong = client.get(url(k="metrics.val/acc", op=">", v="much"))
    assert wrong.status_code == 400
    assert "a metric needs a number" in html.unescape(wrong.get_data(as_text=True))


def test_columns_are_chosen_by_the_url_and_stay(client: FlaskClient, log: Log) -> None:
    log("one", params={"lr": "0.1", "depth": "4"}, accuracy=0.5, loss=0.1)
    shown = page(client, url(c=["created", "metrics.loss", "params.depth"], order="metrics.accuracy DESC"))
    heads = re.findall(r'<th scope="col"[^>]*>(?:<a [^>]+>)?(?:<span class="goal".*?</span>)?([\w/ ]+)', shown)
    assert [head.strip() for head in heads] == ["Name", "Status", "Created", "loss", "depth"]
    assert "c=metrics.loss" in header(shown, "Name")
    assert "gone" in page(client, url(c=["metrics.gone"]))


def test_the_best_value_is_marked_but_never_on_a_failed_run(client: FlaskClient, log: Log) -> None:
    log("good", accuracy=0.8, loss=0.3)
    log("bad", accuracy=0.6, loss=0.2)
    log("too good", status="FAILED", accuracy=0.99, loss=0.01)
    log("canceled", status="KILLED", accuracy=0.98, loss=0.02)
    shown = page(client, ROOT)
    best = re.findall(r'<td class="number best">([^<]+)<', shown)
    assert sorted(best) == ["0.2", "0.8"]


def test_pages_follow_the_order_without_gaps(client: FlaskClient, log: Log) -> None:
    for number in range(53):
        log(f"run {number:02}", score=float(number % 7))
    first = client.get(url(order="metrics.score DESC")).get_data(as_text=True)
    following = re.search(r'rel="next" href="([^"]+)"', first)
    assert following
    second = page(client, ROOT + html.unescape(following[1]))
    assert len(names(first)) == 50
    assert len({*names(first), *names(second)}) == 53
    assert "First page" in second
    assert "53 runs" in second
    assert "The address of this page is damaged" in page(client, url(page="nonsense"))


def test_a_page_costs_the_same_number_of_statements_at_any_size(
    client: FlaskClient, log: Log, statements: Counter
) -> None:
    counts = []
    for size in (1, 40):
        for number in range(size):
            log(f"{size}-{number}", **{f"m{key}": float(number) for key in range(size)})
        with statements() as seen:
            page(client, url(order="metrics.m0 DESC", filter="metrics.m0 >= 0"))
        counts.append(len(seen))
    assert counts[0] == counts[1] <= 17


def test_thousands_of_columns_are_no_burden(client: FlaskClient, log: Log) -> None:
    log(
        "wide", params={f"p{number:04}": "x" for number in range(90)}, **{f"m{number:04}": 1.0 for number in range(900)}
    )
    answer = client.get(ROOT)
    assert len(answer.get_data()) < 200_000
    shown = html.unescape(answer.get_data(as_text=True))
    assert "8 of 900" in shown
    assert "6 of 90" in shown
    assert "m0899" in page(client, url(c=["metrics.m0899"]))


def test_parameters_that_differ_are_shown_first_of_all(client: FlaskClient, log: Log) -> None:
    log("one", params={"a": "same", "b": "1"})
    assert ">a</a>" in page(client, ROOT)
    log("two", params={"a": "same", "b": "2"})
    shown = page(client, ROOT)
    assert ">a</a>" not in shown
    assert ">b</a>" in shown
    assert "1 of 2" in shown
    assert ">a</a>" in page(client, url(c=["params.a"]))


def test_comparing_nothing_says_what_to_choose(client: FlaskClient, log: Log) -> None:
    log("one", accuracy=0.5)
    answer = client.get("/1/-/ml/compare?of=experiments/0")
    assert answer.headers["Location"] == "/1/-/ml/experiments/0"
    assert "Tick the runs to compare" in page(client, answer.headers["Location"])
    for odd in ("//example.com", "experiments/../..", "settings/1", "models/a/b"):
        assert client.get(f"/1/-/ml/compare?of={odd}").headers["Location"] == "/1/-/ml/experiments"


def test_csv_holds_every_match_and_no_formulas(client: FlaskClient, log: Log) -> None:
    for number in range(3):
        log(f"=cmd|{number}", params={"lr": "-0.5", "note": "@evil"}, accuracy=number / 10)
    answer = client.get(f"{ROOT}.csv?{urlencode({'order': 'metrics.accuracy DESC', 'filter': 'metrics.accuracy > 0'})}")
    assert answer.headers["Content-Disposition"].startswith("attachment")
    rows = list(csv.DictReader(io.StringIO(answer.get_data(as_text=True))))
    assert [row["metrics.accuracy"] for row in rows] == ["0.2", "0.1"]
    assert {row["name"] for row in rows} == {"'=cmd|2", "'=cmd|1"}
    assert {row["params.lr"] for row in rows} == {"-0.5"}
    assert {row["params.note"] for row in rows} == {"'@evil"}
    assert client.get(f"{ROOT}.csv?filter=metrics.accuracy+<").status_code == 400


def test_a_verified_run_links_to_all_that_made_it(trail: Trail, team: Team, gitlab_client: FlaskClient) -> None:
    trail.train(trail.main(SHAS["b"]), [0.5])
    request = trail.request(SHAS["c"])
    job = trail.train(trail.of_request(request, SHAS["c"]), [0.6])
    trail.report(trail.of_request(request, SHAS["c"]))
    sign_in(gitlab_client, team.tokens["guest"], base_url=EXTERNAL_URL)
    columns = urlencode({"c": ["job", "pipeline", "mr", "commit", "author"]}, doseq=True)
    shown = gitlab_client.get(f"/team/churn/-/ml/experiments/1?{columns}", base_url=EXTERNAL_URL).get_data(as_text=True)
    for path in (f"/-/jobs/{job.id}", f"/-/commit/{SHAS['c']}", "/-/pipelines/"):
        assert f'href="{team.gitlab.url}/team/churn{path}' in shown
    assert f'href="{team.gitlab.url}/developer"' in shown


def test_a_run_of_thousands_of_values_is_shown_in_part_and_searched(client: FlaskClient, log: Log) -> None:
    params = {f"p{number:04}": "x" * 300 for number in range(90)}
    log("wide", params=params, **{f"m{number:04}": 1.0 for number in range(900)})
    answer = client.get("/1/-/ml/candidates/1")
    assert len(answer.get_data()) < 300_000
    assert re.search(r"The first \d+ of 900", answer.get_data(as_text=True))
    found = page(client, "/1/-/ml/candidates/1?find=m0899")
    assert "m0899" in found
    assert "m0001" not in found


def test_where_no_job_made_a_run_there_are_no_columns_of_jobs(
    trail: Trail, team: Team, gitlab_client: FlaskClient
) -> None:
    owner_of(team, gitlab_client, 42).post("runs/create", experiment_id="0", run_name="by hand")
    trail.train(trail.main(SHAS["b"]), [0.5])
    sign_in(gitlab_client, team.tokens["reporter"], base_url=EXTERNAL_URL)

    def shown(query: str) -> str:
        return gitlab_client.get(f"/team/churn/-/ml/experiments/{query}", base_url=EXTERNAL_URL).get_data(as_text=True)

    assert ">Merge request</a>" in shown("1")
    assert ">Merge request</a>" not in shown("0")
    assert ">Merge request</a>" in shown("0?c=mr")


def test_a_page_without_runs_says_what_there_is_instead(client: FlaskClient, log: Log) -> None:
    log("one", loss=1.0)
    found = page(client, url(filter="metrics.loss > 5", c="metrics.loss"))
    assert "No runs match this filter." in found
    assert 'href="?c=metrics.loss">Show all</a>' in found
    assert 'id="bulk"' not in found
    assert "There are no deleted runs." in page(client, url(view="deleted"))
    assert ">1 run</span>" in page(client, url(filter="metrics.loss >"))
