"""What a note says of evaluations, and that nothing of a client, a model or a judge gets out of its place in it.

https://mlflow.org/docs/latest/genai/eval-monitor/
"""

from dataclasses import replace
from typing import Any

from hypothesis import example, given, settings

from mltrail_server.domain.cases.evaluation import Criterion
from mltrail_server.domain.cases.evaluation import Sides as Both
from mltrail_server.services.review import note, rows, summary
from mltrail_server.services.review.reports import Report
from tests.evaluations import Evaluated, Scored, marks
from tests.fakes.gitlab import detectors
from tests.notes import MARK, SETTINGS, TAGS, names, rendered
from tests.reports import Sides, a_report, a_run

WRONG = (*range(20, 34), *range(60, 78))
BETTER = Scored(marks(200, wrong=(4, 111, 150, *WRONG[12:])), marks(200, wrong=WRONG))
PAGE = "https://mltrail.example.com/team/answers/-/ml/candidates/2/evaluation?against=1"


def a_report_of(*evaluated: Evaluated, text: str | None = None, baseline: bool = True) -> Report:
    before = [a_run(1, {}, params={})] if baseline else []
    return a_report({"answers": Sides([a_run(2, {}, params={})], before, evaluations=evaluated)}, text)


def written(*evaluated: Evaluated, **options: Any) -> str:
    return note.body(a_report_of(*evaluated, **options), settings=SETTINGS, project_path="team/answers")


def fold(body: str) -> list[str]:
    """The lines of the folded part about evaluations."""
    _, _, rest = body.partition("<details><summary>Evaluation")
    return rest.partition("</details>")[0].splitlines()


def test_the_first_screen_says_how_many_broke_and_which() -> None:
    lines = written(Evaluated({"correctness": BETTER})).splitlines()
    assert lines[1] == (
        "### ✅ Does not block: nothing is clearly worse, and `golden-set · correctness` of `answers` is better, "
        "pass rate 0.840 → 0.885"
    )
    assert lines[3].startswith("**Cases:** broke 3 of 200 cases, fixed 12; 20 fail as before. Broke: [`4b2277`](")
    (row,) = [line for line in lines if line.startswith("| ✅")]
    assert row == (
        "| ✅ **better**<br>`correctness`<br><sub>`golden-set`, pass rate, higher is better</sub> | "
        "0.840 → **0.885** | broke 3 of 200 cases, fixed 12, more than chance explains |"
    )


def test_broken_cases_come_first_each_with_its_scorers_and_both_answers() -> None:
    relevance = Scored(marks(200, wrong=(4,)), marks(200, wrong=()))
    lines = fold(written(Evaluated({"correctness": BETTER, "relevance": relevance})))
    assert lines[0] == ", case by case: 3 broke, 12 fixed</summary>"
    assert lines[2] == f"[`golden-set`]({PAGE}): broke 3 of 200 cases, fixed 12."
    case = "4b227777d4dd1fc61c6f884f48641d02b4d121d3fd328cb08b5531fcacdabf8a"
    assert lines[4] == f"- Broke: [`4b2277`]({PAGE}&case={case}) (`correctness`, `relevance`)"
    assert [line.partition(":")[0] for line in lines[4:]][:5] == [
        *("- Broke", "- Broke", "- Broke", "- Fixed", "- Also failed in the baseline")
    ]
    assert f"and [2 more]({PAGE}&only=fixed)" in lines[7]
    assert lines[8] == f"- Also failed in the baseline: [20 cases]({PAGE}&only=failed)"


def test_no_more_than_ten_broken_cases_are_listed() -> None:
    lines = fold(written(Evaluated({"correctness": Scored(marks(50, wrong=range(30)), marks(50, wrong=()))})))
    assert sum(line.startswith("- Broke: ") for line in lines) == 10
    assert f"- and [20 more]({PAGE}&only=broke)" in lines


def test_another_judge_is_named_and_nothing_is_compared() -> None:
    body = written(Evaluated({"relevance": replace(BETTER, judges=("openai:/gpt-5", "openai:/gpt-4.1"))}))
    said = "can't be compared: judged by `openai:/gpt-5` here and by `openai:/gpt-4.1` in the baseline"
    (row,) = [line for line in body.splitlines() if line.startswith("| ❔ **can't tell yet**")]
    assert row.endswith("| 0.8400 → **0.8850** | can't be compared: the judge model has changed |")
    assert f"- `relevance` {said}" in fold(body)
    assert "the judge model is not the baseline's" in body.splitlines()[1]
    other = written(Evaluated({"relevance": replace(BETTER, digests=("1a2b", "2b3c"))}))
    assert "can't be compared: the scorer's code has changed" in other


def test_what_a_scorer_could_not_judge_is_said_in_its_row() -> None:
    now: list[object] = [*BETTER.now]
    now[4], now[111] = TimeoutError(), TimeoutError()
    body = written(Evaluated({"correctness": replace(BETTER, now=now)}))
    said = "could not judge 2 cases, which count as failed"
    assert f"broke 3 of 200 cases, fixed 12, more than chance explains; {said} |" in body
    assert f"- `correctness` {said}" in fold(body)


def test_bars_of_the_run_are_shown_and_said_to_gate_nothing() -> None:
    missed = Criterion("correctness/mean", True, 0.9, 0.885, before=0.95)
    kept = Criterion("latency/p90", False, 2.0, 1.4)
    body = written(Evaluated({"correctness": BETTER}, criteria=(missed, kept)))
    said = (
        "the run's own bar: <code>correctness/<wbr>mean</code> is 0.8850 (must be at least 0.9000). It would block only"
    )
    assert f"**Missed:** {said} with `quality_criteria: accept` in `.mltrail.yml`." in body
    lines = fold(body)
    assert "- The run's own bar for `correctness/mean`, at least 0.9000, lowered from 0.9500: missed (0.8850)" in lines
    assert "- The run's own bar for `latency/p90`, at most 2.000: met (1.400)" in lines
    assert any("block nothing unless" in line for line in lines)
    gating = written(Evaluated({"correctness": BETTER}, criteria=(replace(missed, gates=True),)))
    assert "**Missed:**" not in gating
    assert "gate nothing" not in gating


def test_latency_tokens_and_costs_are_one_line_each() -> None:
    traces = {
        "traces/latency_p50_ms": Both(790.0, 812.0),
        "traces/latency_p95_ms": Both(2140.0, 1904.0),
        "traces/tokens_mean": Both(498.4, 412.1),
        "traces/cost_total": Both(0.3, None),
    }
    lines = fold(written(Evaluated({"correctness": BETTER}, traces=traces)))
    assert "- Latency: p50 812 → 790 ms, p95 1904 → 2140 ms" in lines
    assert "- Tokens: 412 → 498 per case" in lines
    assert "- Cost: 0.3000 in total" in lines


def test_without_a_baseline_failures_are_not_called_old() -> None:
    body = written(Evaluated({"correctness": Scored(marks(20, wrong=(3,)), ())}), baseline=False)
    assert any(line.startswith("- Failed here: [1 case](") for line in fold(body))
    assert "**Cases:** 1 of 20 cases fails; not compared: no baseline yet." in body
    assert "no pipeline of `main` has evaluated this yet" in body


def test_why_nothing_can_be_compared_is_said_first() -> None:
    fewer = Scored(marks(198, wrong=()), marks(200, wrong=()))
    body = written(Evaluated({"correctness": fewer}))
    said = "2 of the baseline's 200 cases are missing here"
    assert body.splitlines()[1].endswith(
        f"can't tell yet whether `golden-set · correctness` of `answers` is worse: {said}"
    )
    assert "- Missing here: 2 cases of the baseline" in fold(body)
    assert f"- `correctness`: {said}" in fold(body)


RULES = """
version: 1
models:
  answers:
    cases: {golden-set: {evaluation: golden-set}}
    rules:
      - {cases: golden-set, broke_at_most: 2}
      - {cases: golden-set, scorer: correctness, pass_rate_at_least: 0.8}
      - {cases: golden-set, scorer: "saf*", pass_rate_at_least: 1, then: warn}
"""


def test_rules_name_what_is_broken_and_what_was_counted() -> None:
    safety = Scored(marks(200, wrong=(4,)), marks(200, wrong=()))
    body = written(Evaluated({"correctness": BETTER, "safety": safety}), text=RULES)
    assert body.splitlines()[1] == (
        "### ❌ Blocks the merge: `golden-set` of `answers` breaks its rule: broke 3 of 200 cases (2 allowed); "
        "1 other is worse too"
    )
    assert "**How sure:** cases are counted, so no test is needed; 1 run on each side." in body
    minus, lines = "\N{HEAVY MINUS SIGN}", body.splitlines()
    for verdict, title, found in (
        (
            "❌ **worse**",
            "`golden-set`<br><sub>cases that pass, higher is better</sub>",
            "0.840 → **0.885** | broke 3 of 200 cases (2 allowed)",
        ),
        (
            "⚠️ **worse**",
            "`golden-set · saf*`<br><sub>cases that pass, higher is better</sub>",
            "1.0000 → **0.9950** | 199 of 200 cases pass; must be all",
        ),
        (
            f"{minus} **within its limit**",
            "`correctness`<br><sub>`golden-set`, pass rate, higher is better</sub>",
            "0.840 → **0.885** | 177 of 200 cases pass; must be at least 80 %, as measured",
        ),
    ):
        assert f"| {verdict}<br>{title} | {found} |" in lines
    assert "- `golden-set` must break at most 2 cases: else it blocks" in body


def test_cases_that_must_pass_are_named_also_if_they_failed_before() -> None:
    rule = "{cases: tests, must_pass: ['t.py::*']}"
    text = f"version: 1\nmodels: {{answers: {{cases: {{tests: {{evaluation: tests}}}}, rules: [{rule}]}}}}\n"
    ids = [f"t.py::test_{place}[a|b]" for place in range(5)]
    scored = Scored(marks(5, wrong=(1, 2)), marks(5, wrong=(2, 3)))
    body = written(Evaluated({"passes": scored}, name="tests", ids=ids, are_tests=True), text=text)
    assert "breaks its rule: 2 of 5 cases that must pass do not" in body.splitlines()[1]
    assert "Must pass, but fail: [`test_1[a\\|b]`](" in body
    lines = [line.partition("]`](")[0] for line in fold(body)]
    assert "- Must pass, but broke: [`test_1[a\\|b" in lines
    assert "- Must pass, but fails as before: [`test_2[a\\|b" in lines
    assert not any(line.startswith("- Broke") for line in lines)
    assert "- `tests` must pass the named cases (`t.py::*`): else it blocks" in body


def test_scorers_without_numbers_or_baseline_are_no_reason_for_doubt() -> None:
    same = Scored(marks(200, wrong=WRONG[:2]), marks(200, wrong=WRONG[:2]))
    tone, new = Scored(["kind"] * 200, ["rude"] * 200), Scored(marks(200, wrong=()), ())
    body = written(Evaluated({"correctness": same, "tone": tone, "zeal": new}))
    assert body.splitlines()[1].startswith("### \N{HEAVY MINUS SIGN} Does not block: nothing stands out in `answers`")
    assert "| `tone`" not in body
    assert "- `tone` returns neither numbers nor pass/fail: the evaluation's page shows its values" in fold(body)
    assert "- `zeal`: the baseline does not have this scorer" in fold(body)
    assert "kind" not in body


def test_a_scorer_of_which_little_is_known_is_what_the_heading_is_about() -> None:
    few = Scored(marks(40, wrong=(1, 2, 3)), marks(40, wrong=(1, 4, 5)))
    body = written(Evaluated({"correctness": few, "tone": Scored(marks(40, wrong=()), marks(40, wrong=()))}))
    assert body.splitlines()[1].startswith(
        "### ❔ Does not block: can't tell yet whether `golden-set · correctness` of `answers` is worse, pass rate"
    )


def test_many_evaluations_and_scorers_stay_short() -> None:
    scored = Scored(marks(30, wrong=range(25)), marks(30, wrong=(26,)))
    many = {f"scorer-{place}": scored for place in range(10)}
    body = written(*(Evaluated(many, name=f"set-{place}") for place in range(8)))
    assert len(body) <= 60_000
    assert "And 4 more evaluations." in body
    assert "- and 2 more scorers" in body


def test_very_long_ids_of_cases_make_no_long_links() -> None:
    ids = [f"{place}{'%' * 8000}" for place in range(20)]
    body = written(Evaluated({"correctness": Scored(marks(20, wrong=range(20)), marks(20, wrong=()))}, ids=ids))
    assert len(body) < 20_000
    assert f"({PAGE})" in fold(body)[4]


def test_the_log_has_the_same_words() -> None:
    report = a_report_of(Evaluated({"correctness": BETTER}))
    said = summary.of_report(report, summary.PLAIN)
    assert said.lines[0].text == "broke 3 of 200 cases, fixed 12; 20 fail as before. Broke: 4b2277, f6e0a1, 9ae2bd."
    (row,) = rows.of(report.models[0])
    assert row.metric == "golden-set · correctness"


def hostile_evaluation(name: str, scorer: str, case: str, model: str) -> Evaluated:
    """Every text that a client, a model or a judge can choose holds something hostile."""
    now: list[object] = [*marks(15, wrong=range(12)), ValueError()]
    before = marks(16, wrong=(14, 15))
    return Evaluated(
        {
            scorer: Scored(now, before),
            f"{scorer}2": Scored(now, before, judges=(model, case)),
            f"{scorer}3": Scored(now, before, digests=(model, case)),
            f"{scorer}4": Scored([1.0] * 16, [0.5] * 16),
            f"{scorer}5": Scored([model] * 16, [case] * 16),
        },
        name=name,
        ids=[f"{case}{place}" for place in range(16)],
        criteria=[Criterion(model, True, 0.9, 0.1), Criterion(scorer, False, 0.9, None, before=0.1)],
    )


@settings(max_examples=30)
@given(names(), names(), names(), names())
@example(f"<b>{MARK}", f"@all {MARK}", f"|{MARK}", f"`{MARK}\n/merge")
@example(f"\ud800{MARK}", f"\0{MARK}", f"\ud800{MARK}", MARK * 3000)
@example(f"</details>{MARK}", f"![x]({MARK})", f"#12 {MARK}", f"\u202e{MARK}")
def test_nothing_of_an_evaluation_leaves_its_place(name: str, scorer: str, case: str, model: str) -> None:
    body = written(hostile_evaluation(name, scorer, case, model))
    assert {*detectors.read(body).live} <= {"element <wbr>"}
    assert detectors.read(body).ragged == []
    seen = rendered(body)
    assert seen.tags <= TAGS
    assert seen.outside == []
    assert all(link.startswith(("https://mltrail.example.com/", "https://gitlab.example.com/")) for link in seen.links)


def test_latency_and_tokens_do_not_drown_the_scorers() -> None:
    """They have rows of their own only if a rule is about them, or if they have changed more than chance explains."""
    derived = {"traces/latency_p95_ms": 1900.0, "traces/tokens_mean": 412.0, "traces/cost_mean": 0.01}
    traces = {name: Both(value, value) for name, value in derived.items()}
    evaluated = Evaluated({"correctness": BETTER}, traces=traces)
    sides = Sides([a_run(2, derived, params={})], [a_run(1, derived, params={})], evaluations=[evaluated])

    def of(text: str | None) -> str:
        report = a_report({"answers": sides}, text)
        return note.body(report, settings=SETTINGS, project_path="team/answers").partition("<details>")[0]

    assert "latency" not in of(None)
    assert "can't tell yet about" not in of(None)
    ruled = of("version: 1\nmodels: {answers: {rules: [{metric: traces/latency_p95_ms, at_most: 1000, then: warn}]}}\n")
    assert "is worse: 1900; must be at most 1000" in ruled.splitlines()[1]
    assert "tokens" not in ruled
