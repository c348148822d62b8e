"""Evaluations in `mltrail report`: the job's log, JUnit, OpenMetrics and the job's links.

https://docs.gitlab.com/ci/testing/unit_test_reports/
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mltrail_ci import responses
from mltrail_ci.outputs import junit
from tests.component.conftest import Job
from tests.component.server import a_report

PAGE = "https://mltrail.example.com/team/answers/-/ml/candidates/9/evaluation?against=4"


def a_case(case: str, change: str, **more: Any) -> dict[str, Any]:
    url = f"{PAGE}&case={case}" if change in {"broke", "fixed"} else None
    return {"id": case, "label": case, "change": change, "in_baseline": True, "url": url, **more}


def an_evaluation(*cases: Mapping[str, Any], **changes: Any) -> dict[str, Any]:
    counts = {"compared": 200, "broke": 3, "fixed": 12}
    scorers = [{"name": "correctness", "current": 0.885, "baseline": 0.84, "errors": {"current": 0, "baseline": 0}}]
    return {"name": "golden-set", "url": PAGE, "cases": list(cases), "scorers": scorers, **counts, **changes}


CASES = (
    a_case("3f2a91", "broke", broke=["correctness"], failed=["correctness", "relevance"]),
    a_case("77aa01", "fixed", fixed=["correctness"]),
    a_case("1b2c3d", "fixed", fixed=["correctness"], failed=["relevance"]),
    a_case("e0e0e0", "failed", failed=["correctness"]),
    a_case("abc123", "failed", failed=["correctness"], in_baseline=False),
    a_case("d4d4d4", "passed"),
    a_case("999999", "missing"),
    a_case("555555", "not judged"),
)


def answers(*evaluations: Mapping[str, Any], name: str = "answers") -> Mapping[str, Any]:
    return {"name": name, "against": "main", "rows": [], "evaluations": list(evaluations)}


def cases_of(report: Mapping[str, Any]) -> dict[tuple[str | None, str | None], tuple[str, str, str]]:
    """Map class and name of each test case to its element, its type and its message."""
    root = ET.fromstring(junit.render(responses.report(report)))
    found = {}
    for case in root.iter("testcase"):
        (state,) = case
        message = state.get("message") or state.text or ""
        found[case.get("classname"), case.get("name")] = (state.tag, state.get("type") or "", message)
    return found


def test_each_case_is_a_test_case_that_tells_broken_from_failed_before() -> None:
    found = cases_of(a_report(models=[answers(an_evaluation(*CASES))]))
    assert found == {
        ("golden-set", "3f2a91"): (
            "failure",
            "broke",
            "broke: correctness (passed on main); also failed before: relevance",
        ),
        ("golden-set", "77aa01"): ("system-out", "", "fixed: correctness (failed on main)"),
        ("golden-set", "1b2c3d"): (
            "failure",
            "failed before",
            "fixed: correctness (failed on main); also failed before: relevance",
        ),
        ("golden-set", "e0e0e0"): ("failure", "failed before", "also failed before: correctness"),
        ("golden-set", "abc123"): ("failure", "failed", "fails: correctness"),
        ("golden-set", "d4d4d4"): ("system-out", "", "passed"),
        ("golden-set", "999999"): ("skipped", "", "evaluated on main, but not here"),
        ("golden-set", "555555"): ("skipped", "", "no scorer passes or fails it"),
    }


def test_evaluations_with_one_name_are_told_apart_by_their_models() -> None:
    both = [answers(an_evaluation(CASES[0]), name=name) for name in ("answers", "search")]
    assert set(cases_of(a_report(models=both))) == {
        ("answers: golden-set", "3f2a91"),
        ("search: golden-set", "3f2a91"),
    }


def test_what_is_left_out_is_counted() -> None:
    found = cases_of(a_report(models=[answers(an_evaluation(CASES[5], left_out=2500))]))
    assert found["golden-set", "further cases"] == ("skipped", "", "2,500 more cases are on the evaluation's page")


def test_an_older_server_sends_no_evaluations() -> None:
    assert responses.report(a_report()).models[0].evaluations == []


hostile = st.text(max_size=12) | st.sampled_from(
    ["]]>", "<x/>", "&amp;", "\x00", "\x1b[2J", "\ud800", "\ufffe", "\u202e", '"', "a\nb", "\r", "::add-mask::"]
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(hostile, hostile, hostile, hostile)
def test_whatever_names_hold_the_file_is_xml_and_says_the_same(case: str, label: str, scorer: str, name: str) -> None:
    broken = {**a_case(case, "broke", broke=[scorer], failed=[scorer]), "label": label}
    text = junit.render(responses.report(a_report(models=[answers(an_evaluation(broken, name=name))])))
    text.encode()
    root = ET.fromstring(text)
    assert not [one for one in text if not one.isprintable() and one != "\n"]
    assert [one.tag for one in root.iter()].count("testcase") == 1
    assert root.findall(".//failure")[0].get("type") == "broke"


def test_the_log_names_the_cases_that_broke_with_links_to_both_answers(job: Job) -> None:
    evaluation = an_evaluation(
        *(a_case(f"c{place}", "broke", broke=["correctness"], label=f"#{place} (c0)") for place in range(12))
    )
    job.server.lay(f"POST {job.base}/pipelines/1001/report", a_report(models=[answers(evaluation)]))
    code, output, _ = job.run("report")
    assert code == 0
    assert f"golden-set: broke 3 of 200 cases, fixed 12  {PAGE}\n" in output
    assert f"\n  broke #0 (c0): correctness  {PAGE}&case=c0\n" in output
    assert sum(line.startswith("  broke ") for line in output.splitlines()) == 10
    assert "\n  and 2 more\n" in output


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"compared": None, "problem": "another judge model"}, "golden-set: another judge model"),
        ({"compared": None, "url": ""}, "golden-set: nothing to compare"),
        ({"name": "x\n\x1b[2J0 failed"}, "x??[2J0 failed: broke 3 of 200 cases"),
    ],
)
def test_the_log_says_why_nothing_was_compared(job: Job, changes: dict[str, Any], says: str) -> None:
    report = a_report(models=[answers(an_evaluation(**changes))])
    job.server.lay(f"POST {job.base}/pipelines/1001/report", report)
    assert says in job.run("report")[1]


def test_scorers_are_metrics_and_the_job_links_to_the_evaluation(job: Job, tmp_path: Path) -> None:
    report = a_report(models=[answers(an_evaluation(*CASES, name='go"ld'))])
    job.server.lay(f"POST {job.base}/pipelines/1001/report", report)
    files = {name: str(tmp_path / name) for name in ("metrics", "annotations")}
    job.run("report", *(part for name, path in files.items() for part in (f"--{name}", path)))
    line = 'mltrail_scorer{model="answers",evaluation="go\\"ld",scorer="correctness"} 0.885'
    assert line in (tmp_path / "metrics").read_text().splitlines()
    assert PAGE in (tmp_path / "annotations").read_text()
