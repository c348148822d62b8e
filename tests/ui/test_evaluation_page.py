"""An evaluation's page: cases and scorers of one run, of two side by side, and one case with both answers."""

import re
from urllib.parse import quote

import pytest
from flask.testing import FlaskClient

from mltrail_server.domain.assessments import Kind
from mltrail_server.domain.ids import ProjectId
from mltrail_server.services.context.deps import Deps
from mltrail_server.store.traces import links, traces
from tests.api.traces.caller import a_trace
from tests.mlflow_client import LOCAL_TOKEN, Mlflow, good
from tests.statements import Counter
from tests.team import EXTERNAL_URL, Team
from tests.ui.browsing import ML, TEAM_ML, page, sign_in, team_page
from tests.ui.trace_seeds import TraceSeeds, span

A, C = "a" * 16, "c" * 16
BEFORE, NOW = f"{ML}/candidates/1/evaluation", f"{ML}/candidates/2/evaluation"


@pytest.fixture
def seeds(deps: Deps, client: FlaskClient, mlflow: Mlflow) -> TraceSeeds:
    """Two runs: run 1 is before, run 2 is now."""
    sign_in(client, LOCAL_TOKEN)
    for name in ("before", "now"):
        mlflow.post("runs/create", experiment_id="0", run_name=name)
    return TraceSeeds(deps)


def answer(seeds: TraceSeeds, run: int, case: str, said: str, **marks: object) -> str:
    one = seeds.add(
        run=run,
        inputs_digest=case * 64,
        request_preview=f'{{"question": "question {case}"}}',
        response_preview=f'"{said}"',
        spans=[span(1, "answer", inputs={"question": f"question {case}"}, outputs=said)],
    )
    for name, value in marks.items():
        seeds.say(one, name, value, rationale=f"why {name} of {case} in {run}")
    return one


@pytest.fixture
def both(seeds: TraceSeeds) -> TraceSeeds:
    """Case a broke, b was fixed, c fails as before, d passes."""
    for run, marks in ((1, ("yes", "no", "no", "yes")), (2, ("no", "yes", "no", "yes"))):
        for case, mark in zip("abcd", marks, strict=True):
            one = answer(seeds, run, case, f"answer {case} of {run}", correct=mark, tone=run + 2)
            if case == "a":
                seeds.say(one, "expected_response", "the right one", kind=int(Kind.EXPECTATION))
    return seeds


def cases(shown: str) -> list[str]:
    return re.findall(r'<th scope="row"><a href="[^"]*case=(\w)', shown)


def test_one_run_has_its_cases_and_scorers(both: TraceSeeds, client: FlaskClient) -> None:
    shown = page(client, BEFORE)
    assert cases(shown) == ["a", "b", "c", "d"]
    assert "50.0 %" in shown
    assert "answer a of 1" in shown
    assert "answer a of 2" not in shown
    assert "question a" in shown
    assert cases(page(client, f"{BEFORE}?only=failed")) == ["b", "c"]
    assert 'href="?case=' in shown


def test_two_runs_stand_side_by_side(both: TraceSeeds, client: FlaskClient) -> None:
    shown = page(client, f"{NOW}?against=1")
    assert "answer a of <del>1</del>" in shown
    assert "answer a of <ins>2</ins>" in shown
    assert "1 fixed, 1 broke" in shown
    assert '<span class="badge danger">no</span>' in shown
    assert '<span class="badge neutral">3</span> → <span class="badge neutral">4</span>' in shown
    for only, expected in (("broke", ["a"]), ("fixed", ["b"]), ("failed", ["a", "c"]), ("passed", ["b", "d"])):
        assert cases(page(client, f"{NOW}?against=1&only={only}")) == expected
    assert cases(page(client, f"{NOW}?against=1&only=nonsense")) == ["a", "b", "c", "d"]


def test_a_case_has_both_whole_answers_and_the_reasons(both: TraceSeeds, client: FlaskClient) -> None:
    shown = page(client, f"{NOW}?against=1&only=broke&case={A}")
    for part in (
        "question a",
        "answer a of <del>1</del>",
        "answer a of <ins>2</ins>",
        "why correct of a in 1",
        "why correct of a in 2",
        '<span class="badge danger">broke</span>',
        "the right one",
    ):
        assert part in shown
    assert len(set(re.findall(rf"{ML}/traces/tr-\w+", shown))) == 2
    assert 'rel="next"' not in shown
    assert 'rel="next"' in page(client, f"{NOW}?against=1&case={A}")
    assert client.get(f"{NOW}?against=1&case=none").status_code == 404


def test_cases_of_one_side_only_are_shown_as_missing(seeds: TraceSeeds, client: FlaskClient) -> None:
    answer(seeds, 1, "a", "gone", correct="yes")
    answer(seeds, 1, "b", "kept", correct="yes")
    answer(seeds, 2, "b", "kept", correct="yes")
    answer(seeds, 2, "c", "new", correct=True)

    shown = page(client, f"{NOW}?against=1")
    assert cases(shown) == ["b", "c", "a"]
    assert cases(page(client, f"{NOW}?against=1&only=missing")) == ["a"]
    assert "did not answer this case" in page(client, f"{NOW}?against=1&case={A}")
    assert "did not answer this case" in page(client, f"{NOW}?against=1&case={C}")


def test_repeats_of_a_case_are_summed_up(seeds: TraceSeeds, client: FlaskClient) -> None:
    for mark in ("yes", "no", "yes"):
        answer(seeds, 1, "a", "said", correct=mark)
    shown = page(client, BEFORE)
    assert "\N{MULTIPLICATION SIGN} 3" in shown
    assert "2 of 3 pass" in shown
    assert page(client, f"{BEFORE}?case={A}").count("Full trace") == 3


def test_a_run_without_an_evaluation_says_how_to_make_one(seeds: TraceSeeds, client: FlaskClient) -> None:
    assert "has no evaluation" in page(client, BEFORE)
    seeds.add(run=1)
    assert "has no evaluation" in page(client, BEFORE)
    assert client.get(f"{ML}/candidates/9/evaluation").status_code == 404
    assert client.get(f"{BEFORE}?against=9").status_code == 404
    assert client.get(f"{BEFORE}?against=x").status_code == 400


def test_what_another_run_could_not_be_compared_with_is_said(seeds: TraceSeeds, client: FlaskClient) -> None:
    for run, judge in ((1, "judge-1"), (2, "judge-2")):
        one = seeds.add(run=run, inputs_digest="a" * 64)
        seeds.say(one, "correct", "yes", source_type="LLM_JUDGE", source_id=judge)
    shown = page(client, f"{NOW}?against=1")
    assert "the judge model is not the baseline" in shown
    assert "judge-1 → judge-2" in shown


def test_an_error_of_a_scorer_is_counted(seeds: TraceSeeds, client: FlaskClient) -> None:
    one = seeds.add(run=1, inputs_digest="a" * 64)
    seeds.say(one, "correct", None, error='{"error_code": "TIMEOUT", "error_message": "slow"}')
    answer(seeds, 1, "b", "x", correct=True)
    shown = page(client, BEFORE)
    assert "1 case" in shown
    assert ">error</span>" in shown
    assert "TIMEOUT: slow" in page(client, f"{BEFORE}?case={A}")


def test_prompts_of_both_runs_are_linked(both: TraceSeeds, client: FlaskClient, mlflow: Mlflow) -> None:
    for iid, version in ((1, "1"), (2, "2")):
        run = re.search(r"<code>(\w{32})</code>", page(client, f"{ML}/candidates/{iid}"))
        assert run
        linked = f'[{{"name": "qa", "version": "{version}"}}]'
        mlflow.post("runs/set-tag", run_id=run[1], key="mlflow.linkedPrompts", value=linked)
    assert f'href="{ML}/prompts/qa?from=1&to=2"' in page(client, f"{NOW}?against=1")
    assert f'href="{ML}/prompts/qa?version=2"' in page(client, NOW)


def test_the_run_and_a_comparison_lead_here(both: TraceSeeds, client: FlaskClient) -> None:
    assert f'href="{ML}/candidates/2/evaluation"' in page(client, f"{ML}/candidates/2")
    assert f'href="{NOW}?against=1"' in page(client, f"{ML}/compare?run=1&run=2")
    assert '<option value="1">before (1)</option>' in page(client, NOW)


def test_many_cases_are_shown_page_by_page(seeds: TraceSeeds, client: FlaskClient) -> None:
    for number in range(130):
        one = seeds.add(run=1, inputs_digest=f"{number:016x}" * 4)
        seeds.say(one, "correct", True)
    shown = page(client, BEFORE)
    assert shown.count('<th scope="row"><a href="?case=') == 100
    assert page(client, f"{BEFORE}?first=100").count('<th scope="row"><a href="?case=') == 30
    assert "No case was answered" in page(client, f"{BEFORE}?first=900")


def test_more_cases_take_no_more_statements(both: TraceSeeds, client: FlaskClient, statements: Counter) -> None:
    with statements() as few:
        page(client, f"{NOW}?against=1")
    for case in "ef0123456789":
        for run in (1, 2):
            answer(both, run, case, "said", correct="yes")
    with statements() as many:
        page(client, f"{NOW}?against=1")
    assert len(few) == len(many)


def test_what_models_wrote_stays_text(seeds: TraceSeeds, client: FlaskClient) -> None:
    bad = "</td><script>alert(1)</script>\u202e"
    for run in (1, 2):
        one = seeds.add(
            run=run,
            tags={"mlflow.eval.requestId": bad},
            request_preview=bad,
            response_preview=f"{bad}{run}",
            spans=[span(1, "x", inputs={bad: bad}, outputs=f"{bad}{run}")],
        )
        seeds.say(one, bad, bad, rationale=bad, source_id=f"{bad}{run}", source_type="LLM_JUDGE")
        seeds.say(one, "correct", "yes")
    for query in ("", "?against=1", f"?against=1&case={quote(bad)}"):
        answer_ = client.get(f"{NOW}{query}")
        assert answer_.status_code == 200
        assert "<script>alert" not in answer_.get_data(as_text=True)


@pytest.mark.parametrize(("who", "status"), [("guest", 403), ("stranger", 404), ("reporter", 200)])
def test_only_readers_of_traces_see_evaluations(gitlab_client: FlaskClient, team: Team, who: str, status: int) -> None:
    job = team.job()
    mlflow = Mlflow(gitlab_client, project="42", token=team.gitlab.mint(job, EXTERNAL_URL))
    mlflow.post("runs/create", experiment_id="0", run_name="evaluation")
    sign_in(gitlab_client, team.tokens[who], base_url=EXTERNAL_URL)
    team_page(gitlab_client, f"{TEAM_ML}/candidates/1/evaluation", status)


def test_what_a_person_says_of_a_jobs_trace_changes_no_mark(
    gitlab_client: FlaskClient, gitlab_deps: Deps, team: Team
) -> None:
    mlflow = Mlflow(gitlab_client, project="42", token=team.gitlab.mint(team.job(), EXTERNAL_URL))
    run = mlflow.post("runs/create", experiment_id="0", run_name="evaluation")["run"]["info"]["run_id"]
    good(
        mlflow.call("POST", "api/3.0/mlflow/traces", json={"trace": a_trace(trace_metadata={"mlflow.sourceRun": run})})
    )
    said = {"assessment_name": "correct", "source": {"source_type": "CODE"}, "feedback": {"value": "yes"}}
    good(mlflow.call("POST", "api/3.0/mlflow/traces/tr-1/assessments", json={"assessment": said}))
    good(mlflow.call("PATCH", "api/2.0/mlflow/traces/tr-1/tags", json={"key": "mlflow.test.name", "value": "a.py::b"}))
    sign_in(gitlab_client, team.tokens["developer"], base_url=EXTERNAL_URL)
    path = f"{TEAM_ML}/traces/tr-1"
    form = team_page(gitlab_client, path).partition('name="csrf_token" value="')[2].partition('"')[0]
    data = {"csrf_token": form, "do": "feedback", "name": "correct", "kind": "no"}
    assert gitlab_client.post(path, data=data, base_url=EXTERNAL_URL).status_code == 303

    assert team_page(gitlab_client, path).count('class="assessment"') == 2
    shown = team_page(gitlab_client, f"{TEAM_ML}/candidates/1/evaluation")
    assert '<span class="badge success">yes</span>' in shown
    assert "100.0 %" in shown
    assert "badge danger" not in shown


def test_deleted_traces_are_told(both: TraceSeeds, client: FlaskClient, deps: Deps) -> None:
    with deps.project(ProjectId(1)).write() as tx:
        links.note_deleted(tx, [f"tr-{1:032x}"], by="anna")
        traces.remove(tx, [f"tr-{1:032x}"])
    shown = page(client, BEFORE)
    assert "1 trace of this run was deleted" in shown
    assert cases(shown) == ["b", "c", "d"]
    assert ">3: <" in page(client, f"{ML}/candidates/1")
