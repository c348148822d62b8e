"""Tables of cases are compared case by case, and rules about them hold whatever a merge request logs."""

from typing import Any

import pytest
import sqlalchemy as sa

from mltrail_server.domain.cases import words
from mltrail_server.domain.ids import ProjectId
from mltrail_server.domain.markdown import code
from mltrail_server.store import schema
from mltrail_server.store.review import case_uses
from tests.api.promotion.promoting import promote
from tests.api.review.case_tables import answers, split, train
from tests.api.review.merge_requests import a_main, a_request
from tests.api.trail import SHAS, Trail
from tests.fakes.gitlab import MergeRequest, Pipeline
from tests.mlflow_client import FILES

pytestmark = pytest.mark.usefixtures("bot_is_a_developer")
BACKENDS = ("sqlite",)
ON_BOTH = pytest.mark.parametrize("backend", ["sqlite", "postgresql"])
GOLDEN = "{table: cases.json, id: id, label: target, prediction: prediction}"
RULE = "{cases: golden, broke_at_most: 2}"


def a_contract(table: str = GOLDEN, *rules: str, **keys: str) -> str:
    lines = ["version: 1", "models:", "  churn:", *(f"    {name}: {value}" for name, value in keys.items())]
    lines += ["    cases:", f"      golden: {table}"]
    return "\n".join([*lines, *(["    rules:"] if rules else []), *(f"      - {rule}" for rule in rules)]) + "\n"


def judged(trail: Trail, before: Any, now: Any, *, text: str | None = None) -> Any:
    """Return the report on a merge request. Each side is what its runs log: files by name for each run."""
    main = a_main(trail, SHAS["b"], text or a_contract(GOLDEN, RULE), [])
    if before is not None:
        train(trail, main, before)
    _, pipeline = a_request(trail, [])
    train(trail, pipeline, now)
    return trail.report(pipeline)


def of(rows: Any) -> list[dict[str, bytes]]:
    return [{"cases.json": split(rows)}]


def rule_of(report: Any) -> tuple[str, bool, str]:
    ((rule,),) = ([one for one in model["rules"] if one["cases"]] for model in report["models"])
    return rule["outcome"], rule["known"], rule["sentence"]


def test_what_broke_and_what_was_fixed(trail: Trail) -> None:
    report = judged(trail, of(answers(wrong=[1, 2, 3])), of(answers(wrong=[3, 50, 51, 52])))
    (model,) = report["models"]
    (found,) = model["cases"]
    assert (found["broke"], found["fixed"], found["n"]) == (3, 2, 100)
    assert found["broken_ids"] == ["case-50", "case-51", "case-52"]
    assert found["fixed_ids"] == ["case-1", "case-2"]
    assert (found["baseline"], found["current"]) == (0.97, 0.96)
    assert found["the_change"] is None
    (rule,) = model["rules"]
    assert (rule["cases"], rule["metric"], rule["outcome"], rule["verdict"]) == ("golden", "golden", "fail", "worse")
    assert rule["sentence"] == "broke 3 of 100 cases (2 allowed), fixed 2"
    assert report["gate"]["outcome"] == "fail"
    assert "<summary>Case by case: 3 broke, 2 fixed</summary>" in report["markdown"]
    assert "- Broke: `case-50`, `case-51`, `case-52`\n" in report["markdown"]
    assert report["markdown"].count(words.ONE_RUN) == 1


@pytest.mark.parametrize(("wrong", "outcome"), [([1], "pass"), ([1, 2], "pass"), ([1, 2, 3], "fail")])
def test_as_many_may_break_as_the_rule_says(trail: Trail, wrong: list[int], outcome: str) -> None:
    report = judged(trail, of(answers()), of(answers(wrong=wrong)))
    assert rule_of(report)[0] == outcome == report["gate"]["outcome"]


def test_with_several_runs_a_side_the_change_is_shown_and_judged(trail: Trail) -> None:
    before = [table for seed in range(3) for table in of(answers(200, wrong=[seed, seed + 10]))]
    now = [table for seed in range(3) for table in of(answers(200, wrong=range(50 + seed, 90)))]
    report = judged(trail, before, now)
    (found,) = report["models"][0]["cases"]
    assert found["runs"] == {"current": 3, "baseline": 3}
    assert found["the_change"]["high"] < 0
    assert found["the_change"]["p_lower"] < 0.01
    assert (found["judged"], found["verdict"]) == ("the_change", "worse")
    assert found["the_change"]["baseline"] == pytest.approx(0.99)
    assert found["current"] > found["the_change"]["current"], "the named run is the best"
    assert "The change, over 3 runs here and 3 runs of the baseline: accuracy \N{MINUS SIGN}" in report["markdown"]


def test_nothing_is_said_of_the_change_if_a_run_has_not_logged_its_table(trail: Trail) -> None:
    """Otherwise a merge request could choose which of its runs are looked at."""
    before = [table for seed in range(3) for table in of(answers(200, wrong=[seed]))]
    report = judged(trail, before, [{}, {}, *of(answers(200))])
    (found,) = report["models"][0]["cases"]
    assert (found["runs"]["current"], found["broke"]) == (1, 0)
    assert (found["the_change"], found["judged"]) == (None, "these_models")


def test_a_table_without_a_rule_is_only_shown(trail: Trail) -> None:
    report = judged(trail, of(answers()), of(answers(wrong=range(50))), text=a_contract())
    assert report["gate"]["outcome"] is None
    assert report["models"][0]["cases"][0]["broke"] == 50
    assert "Case by case: 50 broke, 0 fixed" in report["markdown"]
    assert "and 40 more" in report["markdown"]


class TestTheMergeRequestIsTheCause:
    """It can't pass by what it logs: what can't be compared because of it counts as broken."""

    @pytest.mark.parametrize(
        ("now", "says"),
        [
            ([{}], "the table was not logged here"),
            ([{"cases.json": b"{"}], "the table is not valid JSON"),
            ([{"cases.json": b"[" * 50_000}], "the table is not valid JSON: it is nested too deeply"),
            ([{"cases.json": b"x" * 20_000_001}], "the table is larger than 20 MB; log fewer cases or columns"),
            (of(answers()[1:]), "1 of the baseline's 100 cases is missing here"),
            (of([["case-1", 1, 1]]), "99 of the baseline's 100 cases are missing here"),
            (of([["other", 1, 1]]), "none of the baseline's cases is here"),
            (of([*answers()[1:], ["case-0", 1, 1]]), "1 case has other labels than in the baseline"),
            (of([*answers(), [None, 1, 1]]), "a case has no id"),
            (of([*answers(), ["case-0", 1, 1]]), "two rows about the same case have different labels"),
            (
                [{"cases.json": split(answers(), ["id", "label", "prediction"])}],
                "the table has no column that the contract names as label",
            ),
        ],
    )
    def test_it_breaks_the_rule(self, trail: Trail, now: Any, says: str) -> None:
        report = judged(trail, of(answers()), now)
        assert rule_of(report) == ("fail", False, says)
        assert report["gate"]["outcome"] == "fail"
        assert says in report["markdown"]

    def test_repeats_that_are_right_do_not_hide_one_that_is_wrong(self, trail: Trail) -> None:
        repeats = [[f"case-{number}", number % 2, number % 2] for number in range(3)] * 50
        report = judged(trail, of(answers()), of([*answers(wrong=[0, 1, 2]), *repeats]))
        assert rule_of(report) == ("fail", True, "broke 3 of 100 cases (2 allowed), fixed 0")

    def test_without_an_answer_a_case_is_wrong(self, trail: Trail) -> None:
        none = [[name, label, None] for name, label, _ in answers()[:3]]
        report = judged(trail, of(answers()), of([*none, *answers()[3:]]))
        assert rule_of(report) == ("fail", True, "broke 3 of 100 cases (2 allowed), fixed 0")


class TestTheBaselineIsTheCause:
    @pytest.mark.parametrize(
        ("before", "says"),
        [
            (None, "no baseline yet"),
            ([{}], "the baseline has not logged the table"),
            ([{"cases.json": b"{"}], "in the baseline, the table is not valid JSON"),
        ],
    )
    @pytest.mark.parametrize("if_unknown", ["warn", "fail", "pass"])
    def test_the_contract_decides(self, trail: Trail, before: Any, says: str, if_unknown: str) -> None:
        text = a_contract(GOLDEN, RULE, if_unknown=if_unknown)
        report = judged(trail, before, of(answers()), text=text)
        assert rule_of(report) == (if_unknown, False, says)

    def test_a_table_that_neither_side_has_logged(self, trail: Trail) -> None:
        assert rule_of(judged(trail, [{}], [{}])) == ("warn", False, "the table was not logged here")

    def test_what_is_wrong_on_both_sides_is_not_the_merge_request_s_doing(self, trail: Trail) -> None:
        wrong = [{"cases.json": split(answers(), ["id", "label", "prediction"])}]
        outcome, known, _ = rule_of(judged(trail, wrong, wrong))
        assert (outcome, known) == ("warn", False)

    def test_new_cases_can_be_added(self, trail: Trail) -> None:
        report = judged(trail, of(answers()), of(answers(150, wrong=[120])))
        (found,) = report["models"][0]["cases"]
        assert (found["n"], found["added"]) == (100, 50)
        assert rule_of(report) == ("pass", True, "no case broke, none was fixed (100 cases)")
        assert "Only here, so not compared: 50 cases." in report["markdown"]


HOSTILE = [
    "/close",
    "@root",
    "a|b",
    "`x`",
    "</details><h1>",
    "!1 #2 ![x](y)",
    "=cmd()",
    "\u202eevil",
    "x\n\n/merge",
    "\\|",
]


def test_ids_are_shown_and_do_nothing(trail: Trail) -> None:
    rows = [[name, 1, 1] for name in HOSTILE]
    report = judged(trail, of(rows), of([[name, 1, 0] for name in HOSTILE]))
    assert report["models"][0]["cases"][0]["broke"] == len(HOSTILE)
    (line,) = [one for one in report["markdown"].splitlines() if one.startswith("- Broke: ")]
    assert line == "- Broke: " + ", ".join(code(name.strip()) for name in HOSTILE)
    assert not any(one.startswith("/") for one in report["markdown"].splitlines())


@ON_BOTH
def test_a_failed_rule_stays_broken_until_it_can_be_checked_again(trail: Trail) -> None:
    """Also if the baseline's table can't be read any more, so that the contract would let it pass."""
    main = a_main(trail, SHAS["b"], a_contract(GOLDEN, RULE, if_unknown="pass"), [])
    train(trail, main, of(answers()))
    request, first = a_request(trail, [])
    train(trail, first, of(answers(wrong=range(10))))
    assert trail.report(first)["gate"]["outcome"] == "fail"
    train(trail, trail.team.gitlab.add_pipeline(trail.team.project, SHAS["b"], "main", "push"), [{}])
    second = trail.of_request(request, SHAS["c"])
    train(trail, second, of(answers(wrong=range(10))))
    report = trail.report(second)
    assert rule_of(report) == ("fail", False, "the baseline has not logged the table")
    fixed = trail.team.gitlab.add_pipeline(trail.team.project, SHAS["b"], "main", "push")
    train(trail, fixed, of(answers()))
    third = trail.of_request(request, SHAS["c"])
    train(trail, third, of(answers(wrong=[1])))
    assert trail.report(third)["gate"]["outcome"] == "pass"


@pytest.mark.parametrize("how", ["PUT", "DELETE"])
def test_a_table_that_somebody_changes_after_the_job_counts_as_the_job_has_logged_it(trail: Trail, how: str) -> None:
    train(trail, a_main(trail, SHAS["b"], a_contract(GOLDEN, RULE), []), of(answers()))
    _, pipeline = a_request(trail, [])
    train(trail, pipeline, of(answers(wrong=range(10))))
    ref = {"key": "gitlab.CI_COMMIT_REF_NAME", "value": "faster"}
    (run_id,) = [run["info"]["run_id"] for run in trail.runs() if ref in run["data"]["tags"]]
    path = f"{FILES}/1/{run_id}/artifacts/cases.json"
    trail.person("developer").call(how, path, data=split(answers()) if how == "PUT" else None)
    assert rule_of(trail.report(pipeline)) == ("fail", True, "broke 10 of 100 cases (2 allowed), fixed 0")


def test_a_report_on_a_pipeline_that_was_judged_before_reads_no_table(trail: Trail) -> None:
    main = a_main(trail, SHAS["b"], a_contract(GOLDEN, RULE), [])
    train(trail, main, of(answers()))
    _, pipeline = a_request(trail, [])
    train(trail, pipeline, of(answers(wrong=[1])))
    first = trail.report(pipeline)
    for blob in list(trail.deps.files.stored(trail.team.project.id)):
        trail.deps.files.delete(trail.team.project.id, blob.blob_id)
    again = trail.report(pipeline)
    assert again["models"][0]["cases"] == first["models"][0]["cases"]


def test_what_broke_too_many_cases_is_not_promoted(trail: Trail) -> None:
    text = a_contract(GOLDEN, RULE, promote="{from: [default]}")
    train(trail, a_main(trail, SHAS["b"], text, []), of(answers()))
    second = trail.main(SHAS["c"], text)
    train(trail, second, of(answers(wrong=[1, 2, 3])))
    (promotion,) = promote(trail, second)
    assert promotion["state"] == "refused"
    assert promotion["reason"].startswith("the gate is red: golden")


def test_several_tables_of_several_formats(trail: Trail) -> None:
    text = "\n".join(
        [
            "version: 1",
            "models:",
            "  churn:",
            "    cases:",
            f"      golden: {GOLDEN}",
            "      calls: {table: out/calls.csv, id: call, label: churned, score: p, threshold: 0.5, measure: auc}",
            "      texts: {table: texts.jsonl, id: q, score: mark, better: lower, cluster: who}",
            "    rules:",
            "      - {cases: calls, broke_at_most: 0, then: warn}",
        ]
    )
    calls = b"call,churned,p\n" + b"\n".join(b"%d,%d,%.2f" % (n, n % 2, 0.4 + n % 2 / 5 + n / 1000) for n in range(40))
    texts = b"\n".join(b'{"q": %d, "mark": %d, "who": "%d"}' % (n, n % 5, n % 7) for n in range(40))
    before = {"cases.json": split(answers()), "out/calls.csv": calls, "texts.jsonl": texts}
    now = before | {"out/calls.csv": calls.replace(b"1,1,0.60", b"1,1,0.10"), "cases.json": split(answers()[::-1])}
    report = judged(trail, [before], [now], text=text)
    golden, calls_found, texts_found = report["models"][0]["cases"]
    assert (golden["broke"], golden["fixed"], golden["measure"]) == (0, 0, "accuracy")
    assert (calls_found["broke"], calls_found["measure"]) == (1, "auc")
    assert calls_found["current"] < calls_found["baseline"]
    assert (texts_found["broke"], texts_found["measure"], texts_found["n"]) == (None, "mean_score", 40)
    assert rule_of(report)[0] == "warn"


@ON_BOTH
def test_each_merge_request_that_a_test_set_has_judged_is_counted_once(trail: Trail) -> None:
    main = a_main(trail, SHAS["b"], a_contract(GOLDEN, RULE), [])
    train(trail, main, of(answers()))
    request, pipeline = a_request(trail, [])
    train(trail, pipeline, of(answers(wrong=[1])))

    def judged_by() -> int:
        found: int = trail.report(pipeline)["models"][0]["cases"][0]["wear"]["judged"]
        return found

    test_set = trail.report(pipeline)["models"][0]["cases"][0]
    assert (judged_by(), test_set["wear"]["judged"]) == (1, 1)
    project = trail.deps.project(ProjectId(trail.team.project.id))
    with project.read() as tx:
        stored = tx.execute(sa.select(schema.case_use.c.test_set).where(schema.case_use.c.project_id == 42)).scalars()
        (digest,) = stored
        assert case_uses.counts(tx, [digest, "other"], request.iid) == {digest: (1, True), "other": (1, False)}
        assert case_uses.counts(tx, [digest], request.iid + 1) == {digest: (2, False)}
    trail.clock.advance(1000)
    with project.write() as tx:
        case_uses.keep(tx, [digest], request.iid + 1)
        case_uses.keep(tx, [digest], request.iid)
    with project.read() as tx:
        assert case_uses.counts(tx, [digest], request.iid + 1) == {digest: (2, True)}
    # What comes later does not change what was said before.
    assert judged_by() == 1


def a_later_commit_that_trains_nothing(trail: Trail, request: MergeRequest) -> Pipeline:
    gitlab = trail.team.gitlab
    gitlab.add_commit(trail.team.project, SHAS["d"], parents=(SHAS["c"],), branch="faster", files={"README.md": "x"})
    pipeline = trail.of_request(request, SHAS["d"])
    gitlab.set_job(gitlab.add_job(pipeline, "test", "test", trail.team.users["developer"], "running"), "success")
    return pipeline


class TestNotTrainedHere:
    """A model whose rules are all about cases is missed like any other."""

    def test_what_failed_before_stays_red(self, trail: Trail) -> None:
        train(trail, a_main(trail, SHAS["b"], a_contract(GOLDEN, RULE), []), of(answers()))
        request, pipeline = a_request(trail, [])
        train(trail, pipeline, of(answers(wrong=range(10))))
        assert trail.report(pipeline)["gate"]["outcome"] == "fail"
        report = trail.report(a_later_commit_that_trains_nothing(trail, request))
        assert report["gate"]["outcome"] == "fail"
        assert "it failed in this merge request before, and is not trained here" in report["markdown"]

    def test_the_contract_says_what_follows(self, trail: Trail) -> None:
        text = a_contract(GOLDEN, RULE)
        train(trail, a_main(trail, SHAS["b"], text, []), of(answers()))
        request, _ = a_request(trail, [])
        report = trail.report(a_later_commit_that_trains_nothing(trail, request))
        assert report["gate"]["outcome"] == "warn"
        assert "not trained here" in report["markdown"]


def test_tables_that_are_too_much_together_are_not_compared(trail: Trail) -> None:
    """Of the baseline's largest tables, ten are read; those of the merge request can't be, which saves time here."""
    cases = "\n".join(f"      t{n:02}: {GOLDEN.replace('cases.json', f'{n}.csv')}" for n in range(11))
    text = f"version: 1\nmodels:\n  churn:\n    cases:\n{cases}\n    rules: [{{cases: t00, broke_at_most: 2}}]\n"
    table = b"id,target,prediction\n" + b"".join(b"%d,1,1\n" % n for n in range(50_000))
    before = {f"{n}.csv": table + b"\n" * n for n in range(11)}
    found = judged(trail, [before], [dict.fromkeys(before, b"x")], text=text)["models"][0]["cases"]
    no_column = "the table has no column that the contract names as id"
    too_much = "in the baseline, the tables of all models are too large together; log fewer cases"
    assert [one["problem"] for one in found] == [no_column] * 10 + [too_much]
