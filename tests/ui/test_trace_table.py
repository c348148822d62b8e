"""An experiment's traces: what the table shows, and how it is searched."""

import html
import json
import re
from urllib.parse import urlencode

import pytest
from flask.testing import FlaskClient

from mltrail_server.domain.assessments import Kind
from mltrail_server.domain.traces import SESSION_KEY, TOKENS_KEY, TraceState
from mltrail_server.services.context.deps import Deps
from mltrail_server.ui.trace_table import PAGE
from tests.clock import HOUR, FrozenClock
from tests.mlflow_client import LOCAL_TOKEN, Mlflow
from tests.statements import Counter
from tests.team import EXTERNAL_URL, Team
from tests.ui.browsing import ML, TEAM_ML, page, sign_in, team_page
from tests.ui.trace_seeds import BEGIN, TraceSeeds

TRACES = f"{ML}/experiments/0/traces"


@pytest.fixture
def seeds(deps: Deps, client: FlaskClient) -> TraceSeeds:
    sign_in(client, LOCAL_TOKEN)
    page(client, f"{ML}/experiments")
    return TraceSeeds(deps)


def ids(shown: str) -> list[str]:
    """List the traces of a page by their numbers, in its order."""
    return [str(int(one, 16)) for one in re.findall(rf'<th scope="row"><a href="{ML}/traces/tr-(\w+)"', shown)]


def test_a_row_says_what_was_asked_answered_and_said(seeds: TraceSeeds, client: FlaskClient, mlflow: Mlflow) -> None:
    mlflow.post("runs/create", experiment_id="0", run_name="evaluation")
    one = seeds.add(
        run=1,
        session="s-1",
        request_preview='{"question": "why?"}',
        response_preview='"because"',
        metadata={TOKENS_KEY: '{"total_tokens": 1500}'},
        duration_ms=2500,
    )
    seeds.say(one, "correctness", "no")
    seeds.say(one, "facts", "1848", kind=int(Kind.EXPECTATION))

    shown = page(client, TRACES)
    for part in ("why?", "because", "1,500", "2.5 s", "s-1", f'<a href="{ML}/candidates/1">evaluation</a>'):
        assert part in shown
    assert 'correctness <span class="badge danger">no</span>' in shown
    assert "1848" not in shown
    assert page(client, f"{ML}/candidates/1").count("/evaluation") == 2
    assert f'href="{TRACES}"' in page(client, f"{ML}/experiments/0")


def test_traces_are_searched(seeds: TraceSeeds, client: FlaskClient) -> None:
    good = seeds.add(name="good", session="s'1", metadata={SESSION_KEY: "s'1"})
    seeds.add(name="failed", state=TraceState.ERROR)
    seeds.say(good, "correct", "no")
    seeds.say(good, "tone", 4)

    assert ids(page(client, TRACES)) == ["2", "1"]
    for query, expected in (
        ({"filter": "trace.status = 'ERROR'"}, ["2"]),
        ({"state": "ERROR"}, ["2"]),
        ({"state": "nonsense"}, ["2", "1"]),
        ({"name": "good"}, ["1"]),
        ({"session": "s'1"}, ["1"]),
        ({"feedback": "correct", "value": "no"}, ["1"]),
        ({"feedback": "correct", "value": "yes"}, []),
        ({"feedback": "tone", "value": "4"}, ["1"]),
        ({"state": "ERROR", "name": "good"}, []),
    ):
        assert ids(page(client, f"{TRACES}?{urlencode(query)}")) == expected, query
    assert "No traces match" in page(client, f"{TRACES}?name=none")


def test_times_are_written_as_people_write_them(seeds: TraceSeeds, client: FlaskClient, clock: FrozenClock) -> None:
    """The first trace begins at 22:14:20 on 14 November 2023, 25,000 hours before now; each other, a minute later."""

    def found(text: str) -> str:
        return page(client, f"{TRACES}?{urlencode({'filter': text})}")

    for _ in range(PAGE + 2):
        seeds.add()
    clock.advance(BEGIN + 60_000 + 25_000 * HOUR - clock())
    for text, expected in (
        ("start_time < '2023-11-14 22:15:00'", ["1"]),
        ("trace.timestamp_ms < '2023-11-14T22:16' AND trace.status = 'OK'", ["2", "1"]),
        ("timestamp = 2023-11-14 22:15", ["2"]),
        (f"attributes.end_time_ms <= {BEGIN + 61_200}", ["1"]),
        ("yesterday", []),
        ("tags.note = 'last 7 days'", []),
    ):
        assert ids(found(text)) == expected, text
    assert "can't be read as a time" in html.unescape(found("end_time > 'soon'"))
    assert "can have at most 8 periods of time" in found("today " * 9)
    first = found("last 25000 hours AND trace.status = 'OK'")
    clock.advance(90_000)
    (more,) = re.findall(r'rel="next" href="([^"]+)"', first)
    assert len(ids(first)) == PAGE
    assert ids(page(client, TRACES + html.unescape(more))) == ["2", "1"]
    assert ids(found("last 25000 hours AND trace.name = 'answer'"))[-1] != "1"


def test_yes_and_no_are_found_however_scorers_write_them(seeds: TraceSeeds, client: FlaskClient) -> None:
    for trace, value in zip([seeds.add() for _ in range(4)], ("no", False, "yes", True), strict=True):
        seeds.say(trace, "correct", value)
    for value, expected in (("", "21"), ("no", "21"), ("No", "21"), ("false", "21"), ("yes", "43"), ("true", "43")):
        shown = page(client, f"{TRACES}?{urlencode({'feedback': 'correct', 'value': value})}")
        assert ids(shown) == list(expected), value
    exact = {"filter": "feedback.correct = 'no'"}
    assert ids(page(client, f"{TRACES}?{urlencode(exact)}")) == ["1"], "as in MLflow"
    assert ids(page(client, f"{TRACES}?{urlencode(exact | {'feedback': 'correct', 'value': 'yes'})}")) == []


@pytest.mark.parametrize(
    "text", ["nonsense", "trace.status = ", "feedback.x LIKE 1", "'", "trace.status = 'OK' OR x = 1"]
)
def test_a_wrong_filter_is_explained_above_all_traces(seeds: TraceSeeds, client: FlaskClient, text: str) -> None:
    seeds.add()
    shown = page(client, f"{TRACES}?{urlencode({'filter': text})}")
    assert 'role="alert"' in shown
    assert ids(shown) == ["1"]


@pytest.mark.parametrize("text", ["'", '"', "`", "''\"`", "a' OR 'b", "\\", "%", "\u202e"])
def test_any_text_can_be_chosen(seeds: TraceSeeds, client: FlaskClient, text: str) -> None:
    seeds.add()
    for key in ("session", "name", "feedback"):
        assert client.get(f"{TRACES}?{urlencode({key: text})}").status_code == 200


def test_pages_follow_one_another(seeds: TraceSeeds, client: FlaskClient) -> None:
    for _ in range(60):
        seeds.add()

    first = page(client, f"{TRACES}?state=OK")
    after = re.search(r'rel="next" href="([^"]+)"', first)
    assert after
    second = page(client, TRACES + after[1])
    assert [*ids(first), *ids(second)] == [str(number) for number in range(60, 0, -1)]
    assert "state=OK" in after[1]
    assert client.get(f"{TRACES}?page=nonsense").status_code == 200


def test_a_longer_page_takes_no_more_statements(seeds: TraceSeeds, client: FlaskClient, statements: Counter) -> None:
    seeds.say(seeds.add(), "correct", "no")
    with statements() as few:
        page(client, TRACES)
    for _ in range(30):
        seeds.say(seeds.add(), "correct", "no")
    with statements() as many:
        page(client, TRACES)
    assert len(many) <= len(few)


def test_an_empty_experiment_says_how_to_send_one(seeds: TraceSeeds, client: FlaskClient) -> None:
    shown = page(client, TRACES)
    assert "No traces yet" in shown
    assert "mlflow.set_tracking_uri" in shown
    assert client.get(f"{ML}/experiments/9/traces").status_code == 404


def test_the_heading_leads_to_the_newest_traces(seeds: TraceSeeds, client: FlaskClient, mlflow: Mlflow) -> None:
    assert client.get(f"{ML}/traces").headers["Location"] == f"{ML}/experiments"
    other = mlflow.post("experiments/create", name="other")["experiment_id"]
    seeds.add(experiment=int(other))
    assert client.get(f"{ML}/traces").headers["Location"] == f"{ML}/experiments/{other}/traces"


def test_what_users_wrote_stays_text(seeds: TraceSeeds, client: FlaskClient) -> None:
    bad = "</td><script>alert(1)</script>\u202e"
    one = seeds.add(name=bad, session=bad, request_preview=json.dumps({"q": bad}), response_preview=bad)
    seeds.say(one, bad, bad)

    raw = client.get(f"{TRACES}?{urlencode({'filter': bad})}").get_data(as_text=True)
    assert "<script>alert" not in raw
    raw = client.get(f"{TRACES}?{urlencode({'session': bad, 'feedback': bad, 'value': bad, 'name': bad})}")
    assert "<script>alert" not in raw.get_data(as_text=True)


def test_guests_are_offered_no_traces(gitlab_deps: Deps, gitlab_client: FlaskClient, team: Team) -> None:
    sign_in(gitlab_client, team.tokens["guest"], base_url=EXTERNAL_URL)
    shown = team_page(gitlab_client, f"{TEAM_ML}/experiments/0")
    assert "/traces" not in shown
    team_page(gitlab_client, f"{TEAM_ML}/experiments/0/traces", 403)
    team_page(gitlab_client, f"{TEAM_ML}/traces", 403)
    sign_in(gitlab_client, team.tokens["reporter"], base_url=EXTERNAL_URL)
    team_page(gitlab_client, f"{TEAM_ML}/experiments/0/traces")
