"""A trace's page: spans, what went in and came out, what was said, and who may see it."""

import html
import json
import re
from collections.abc import Callable

import pytest
from flask.testing import FlaskClient

from mltrail_server.domain.assessments import Kind
from mltrail_server.domain.ids import ProjectId
from mltrail_server.domain.traces import COST_KEY, TOKENS_KEY, TraceState
from mltrail_server.services.context.deps import Deps
from mltrail_server.services.traces.span_records import Event
from mltrail_server.store.traces import assessments
from tests.mlflow_client import LOCAL_TOKEN, Mlflow
from tests.team import EXTERNAL_URL, Team
from tests.ui.browsing import ML, TEAM_ML, page, sign_in, team_page
from tests.ui.trace_seeds import BEGIN, MS, TraceSeeds, span


@pytest.fixture
def seeds(deps: Deps, client: FlaskClient) -> TraceSeeds:
    sign_in(client, LOCAL_TOKEN)
    page(client, f"{ML}/experiments")  # the project exists once it is used
    return TraceSeeds(deps)


def test_spans_are_a_tree_on_a_time_axis(seeds: TraceSeeds, client: FlaskClient) -> None:
    spans = [
        span(1, "answer", took=1000, type="AGENT", inputs={"question": "why?"}, outputs="because"),
        span(3, "complete", start=500, took=500, parent=1, type="LLM", usage={"total_tokens": 1234}),
        span(2, "retrieve", start=0, took=250, parent=1, inputs={"query": "reasons"}),
    ]
    one = seeds.add(spans=spans)

    shown = page(client, f"{ML}/traces/{one}")
    names = re.findall(r'class="d(\d)" href="\?span=(\w+)#span"', shown)
    assert names == [("0", f"{1:016x}"), ("1", f"{2:016x}"), ("1", f"{3:016x}")]
    assert '<rect x="500" width="500"' in shown
    assert "1,234 tok" in shown
    assert "because" in shown
    assert "reasons" not in shown
    assert "reasons" in page(client, f"{ML}/traces/{one}?span={2:016x}")


def test_chat_messages_are_a_conversation(seeds: TraceSeeds, client: FlaskClient) -> None:
    asked = {
        "model": "tiny",
        "messages": [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hi"}],
    }
    call = {"function": {"name": "look_up", "arguments": '{"id": 7}'}}
    answered = {"choices": [{"message": {"role": "assistant", "content": "Hello!", "tool_calls": [call]}}]}
    one = seeds.add(spans=[span(1, "chat", inputs=asked, outputs=answered)])

    shown = page(client, f"{ML}/traces/{one}")
    said = re.findall(r'<span class="role">(\w+)</span><div class="said">([^<]+)</div>', shown)
    assert said == [("system", "Be kind."), ("user", "Hi"), ("assistant", "Hello!")]
    assert "look_up" in shown
    assert '"model": "tiny"' in shown


def test_the_head_says_what_belongs_to_it(seeds: TraceSeeds, client: FlaskClient, mlflow: Mlflow) -> None:
    mlflow.post("runs/create", experiment_id="0", run_name="evaluation")
    metadata = {TOKENS_KEY: '{"input_tokens": 10, "output_tokens": 5}', COST_KEY: '{"total_cost": 0.0025}'}
    one = seeds.add(run=1, prompts=(("qa", "2"),), session="s 1", end_user="u-1", metadata=metadata, tags={"team": "x"})

    shown = page(client, f"{ML}/traces/{one}")
    for part in (
        f'<a href="{ML}/candidates/1">evaluation</a>',
        f'<a href="{ML}/prompts/qa?version=2">qa 2</a>',
        f'<a href="{ML}/experiments/0/traces?session=s+1">s 1</a>',
        "10 in, 5 out",
        "$0.0025",
        "u-1",
        "1.2 s",
        one,
    ):
        assert part in shown


def test_what_was_said_names_who_said_it_and_why(seeds: TraceSeeds, client: FlaskClient) -> None:
    one = seeds.add(job_id=7)
    seeds.say(one, "correctness", "no", source_type="LLM_JUDGE", source_id="judge-1", rationale="The year is wrong.")
    error = json.dumps({"error_code": "TIMEOUT", "error_message": "slow", "stack_trace": "line 1"})
    seeds.say(one, "safety", None, error=error)
    seeds.say(one, "facts", ["1848"], kind=int(Kind.EXPECTATION), source_type="HUMAN", source_id="anna")
    seeds.say(one, "short", True, valid=False)

    shown = page(client, f"{ML}/traces/{one}")
    assert '<span class="badge danger">no</span>' in shown
    assert "by model as judge judge-1" in shown
    assert "The year is wrong." in shown
    assert "TIMEOUT: slow" in shown
    assert "expected, by person anna" in shown
    assert "from a person, never evidence" in shown
    assert "Replaced <span" in shown


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"state": TraceState.IN_PROGRESS, "duration_ms": None}, "No spans yet"),
        ({"request_preview": '{"question": "why"}', "response_preview": "cut off {"}, "cut off {"),
        ({"request_preview": "[redacted]", "spans": [span(1, "root", inputs="[redacted]")]}, "[redacted]"),
        ({"state": TraceState.IN_PROGRESS, "spans": [span(1, "root", took=None)]}, "running"),
        ({"spans": [span(1, "a", parent=2), span(2, "b", parent=1)]}, "Spans"),
        ({"spans": [span(1, "a", parent=9)]}, "Spans"),
        ({"spans": [span(1, "a", inputs=float("nan"), outputs={"messages": [1, {"role": 2}]})]}, "NaN"),
        ({"metadata": {TOKENS_KEY: "[1", COST_KEY: '{"total_cost": "much"}'}}, "No spans of this trace"),
    ],
)
def test_odd_traces_are_shown_as_far_as_they_go(
    seeds: TraceSeeds, client: FlaskClient, fields: dict[str, object], expected: str
) -> None:
    assert expected in page(client, f"{ML}/traces/{seeds.add(**fields)}")  # type: ignore[arg-type] # as parametrized


def test_broken_bytes_do_not_break_the_page(seeds: TraceSeeds, client: FlaskClient) -> None:
    one = seeds.add()
    seeds.put(one, b"{not JSON\n")
    assert "can't be read" in page(client, f"{ML}/traces/{one}")


def test_many_spans_are_shown_part_by_part(seeds: TraceSeeds, client: FlaskClient) -> None:
    one = seeds.add(
        spans=[span(1, "root")] + [span(number, "step", start=number, parent=1) for number in range(2, 1302)]
    )

    shown = page(client, f"{ML}/traces/{one}")
    assert shown.count('#span"') == 500
    assert "Show 500 more" in shown
    last = page(client, f"{ML}/traces/{one}?first=1000")
    assert last.count('#span"') == 301
    # A link to a span leads to the part that lists it.
    assert "1001 to 1301 of 1,301" in page(client, f"{ML}/traces/{one}?span={1100:016x}")


def test_huge_values_are_shown_in_part(seeds: TraceSeeds, client: FlaskClient) -> None:
    deep: list[object] = []
    for _ in range(200):
        deep = [deep]
    one = seeds.add(
        spans=[span(1, "root", inputs="x" * 2_000_000, outputs={"rows": ["y" * 100] * 20_000, "deep": deep})]
    )

    shown = page(client, f"{ML}/traces/{one}")
    assert "Only the beginning is shown" in shown
    assert len(shown) < 300_000


def test_what_a_model_wrote_stays_text(seeds: TraceSeeds, client: FlaskClient) -> None:
    bad = "</div><script>alert(1)</script>\u202e"
    event = Event(bad, BEGIN * MS, {"exception.message": bad, "exception.stacktrace": bad, bad: bad})
    spans = [
        span(
            1,
            bad,
            inputs={bad: bad},
            outputs=bad,
            type=bad,
            attributes={bad: bad},
            status=2,
            message=bad,
            events=[event],
        ),
        span(2, "chat", parent=1, inputs=[{"role": bad, "content": bad, "tool_calls": [{"name": bad, "args": bad}]}]),
    ]
    pairs = {bad: bad}
    one = seeds.add(
        name=bad, spans=spans, session=bad, end_user=bad, client_request_id=bad, tags=pairs, metadata=pairs,
        prompts=((bad, bad),), user_name=bad,
    )  # fmt: skip
    seeds.say(one, bad, bad, source_type=bad[:30], source_id=bad, rationale=bad, user_name=bad)

    for query in ("", f"?span={2:016x}"):
        raw = client.get(f"{ML}/traces/{one}{query}").get_data(as_text=True)
        assert "<script>alert" not in raw


def test_there_is_no_trace_of_another_project(seeds: TraceSeeds, client: FlaskClient) -> None:
    one = seeds.add()
    page(client, "/2/-/ml/experiments")
    assert client.get(f"/2/-/ml/traces/{one}").status_code == 404
    assert client.get(f"{ML}/traces/tr-none").status_code == 404


@pytest.mark.parametrize(
    ("who", "visibility", "status"),
    [
        ("guest", "private", 403),
        ("guest", "public", 403),
        ("stranger", "private", 404),
        ("stranger", "public", 403),
        ("reporter", "private", 200),
        ("developer", "private", 200),
    ],
)
def test_only_members_from_reporter_on_read_traces(
    gitlab_deps: Deps, gitlab_client: FlaskClient, team: Team, who: str, visibility: str, status: int
) -> None:
    team.project.visibility = visibility
    sign_in(gitlab_client, team.tokens["owner"], base_url=EXTERNAL_URL)
    team_page(gitlab_client, f"{TEAM_ML}/experiments")
    sign_in(gitlab_client, team.tokens[who], base_url=EXTERNAL_URL)
    one = TraceSeeds(gitlab_deps, 42).add(spans=[span(1, "root", inputs="a secret")])

    shown = team_page(gitlab_client, f"{TEAM_ML}/traces/{one}", status)
    assert ("a secret" in shown) == (status == 200)
    assert ("Delete trace" in shown) == (who == "developer")


def sender(client: FlaskClient, path: str, **options: str) -> Callable[..., str]:
    """Answer a function that sends a page's form, and returns the page that follows."""
    found = re.search(r'name="csrf_token" value="([^"]+)"', client.get(path, **options).get_data(as_text=True))
    assert found

    def send(**fields: str) -> str:
        data = {"csrf_token": found[1], **fields}
        answer = client.post(path, data=data, follow_redirects=True, **options)
        assert answer.status_code == 200
        return html.unescape(answer.get_data(as_text=True))

    return send


def test_feedback_is_recorded_as_the_persons(seeds: TraceSeeds, client: FlaskClient, deps: Deps) -> None:
    one = seeds.add()
    send = sender(client, f"{ML}/traces/{one}")

    shown = send(do="feedback", name="correct", kind="no", rationale="The year is wrong.")
    assert '<span class="badge danger">no</span>' in shown
    assert "by person local" in shown
    assert "The year is wrong." in shown
    assert '<span class="badge neutral">4.5</span>' in send(do="feedback", name="tone", kind="other", value="4.5")
    assert "too long" in send(do="feedback", name="length", kind="other", value="too long")
    assert "Give a value" in send(do="feedback", name="length", kind="other", value=" ")
    assert "Say what your feedback is about" in send(do="feedback", name="", kind="yes")

    with deps.project(ProjectId(1)).read() as tx:
        said = assessments.of_traces(tx, [one])[one]
    assert {each.name: each.value for each in said} == {"correct": "no", "tone": 4.5, "length": "too long"}
    assert {(each.source_type, each.source_id, each.job_id) for each in said} == {("HUMAN", "local", None)}


def test_a_trace_is_deleted_on_its_page(seeds: TraceSeeds, client: FlaskClient) -> None:
    one = seeds.add()
    send = sender(client, f"{ML}/traces/{one}")

    assert "This can't be undone" in send(do="delete")
    assert "No traces yet" in send(do="delete", sure="1")
    assert client.get(f"{ML}/traces/{one}").status_code == 404


def test_a_developer_deletes_no_trace_of_a_protected_branch(
    gitlab_deps: Deps, gitlab_client: FlaskClient, team: Team
) -> None:
    sign_in(gitlab_client, team.tokens["developer"], base_url=EXTERNAL_URL)
    team_page(gitlab_client, f"{TEAM_ML}/experiments")
    one = TraceSeeds(gitlab_deps, 42).add(job_id=7, protected=True)
    path = f"{TEAM_ML}/traces/{one}"

    assert "takes the Maintainer role" in sender(gitlab_client, path, base_url=EXTERNAL_URL)(do="delete", sure="1")
    team_page(gitlab_client, path)
    said = sender(gitlab_client, path, base_url=EXTERNAL_URL)(do="feedback", name="correct", kind="yes")
    assert "from a person, never evidence" in said
    sign_in(gitlab_client, team.tokens["maintainer"], base_url=EXTERNAL_URL)
    sender(gitlab_client, path, base_url=EXTERNAL_URL)(do="delete", sure="1")
    team_page(gitlab_client, path, 404)


def test_a_form_without_its_token_says_nothing(seeds: TraceSeeds, client: FlaskClient) -> None:
    one = seeds.add()
    answer = client.post(f"{ML}/traces/{one}", data={"do": "feedback", "name": "correct", "kind": "yes"})
    assert answer.status_code == 403
    assert "by person" not in page(client, f"{ML}/traces/{one}")
