"""A merge request breaks three cases of an evaluation and fixes twelve: its comment, thread, report and JUnit say so.

https://mlflow.org/docs/latest/genai/eval-monitor/
"""

import json
import re
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from mltrail_ci import responses
from mltrail_ci.outputs import junit
from mltrail_server.domain import prompts
from tests.api.ci.published import thread_of
from tests.api.review.evaluated import How, answers, evaluate
from tests.api.review.merge_requests import a_main, a_request
from tests.api.trail import SHAS, Trail
from tests.fakes.gitlab import detectors
from tests.team import EXTERNAL_URL

pytestmark = pytest.mark.usefixtures("bot_is_a_developer")
CONTRACT = """
version: 1
gate: {thread: true}
models:
  answers:
    cases: {golden-set: {evaluation: golden}}
    rules:
      - {cases: golden-set, broke_at_most: 2}
      - {cases: golden-set, scorer: safety, pass_rate_at_least: 1}
      - {metric: traces/latency_p95_ms, better: lower, at_most: 500}
"""
WRONG = tuple(range(20, 38))
BEFORE = {"correctness": answers(60, wrong=WRONG), "safety": answers(60)}
NOW = {"correctness": answers(60, wrong=(3, 5, 58, *WRONG[12:])), "safety": answers(60)}

BROKEN = ("q3", "q5", "q58")


def linked(version: int) -> dict[str, str]:
    return {prompts.LINKED_TAG: json.dumps([{"name": "qa", "version": str(version)}])}


@pytest.mark.parametrize("backend", ["sqlite", "postgresql"])
def test_three_broken_and_twelve_fixed_cases_end_to_end(trail: Trail) -> None:
    took = tuple(range(100, 160))
    evaluate(trail, a_main(trail, SHAS["b"], CONTRACT, []), BEFORE, How(took=took, tags=linked(1)))
    request, pipeline = a_request(trail, [])
    evaluate(trail, pipeline, NOW, How(took=[2 * one for one in took], tags=linked(2)))
    report = trail.report(pipeline)
    bodies = trail.notes(request)
    _says_it(next(one for one in bodies if one.startswith("<!-- mltrail v1 pipeline=")), report)
    _has_test_cases(report)
    trail.work()
    assert trail.notes(request) == bodies
    assert "- `answers`: `golden-set`: worse: broke 3 of 60 cases (2 allowed)" in thread_of(request).notes[0].body


def _says_it(body: str, report: Any) -> None:
    lines = body.splitlines()
    said = "`golden-set` of `answers` breaks its rule: broke 3 of 60 cases (2 allowed)"
    assert lines[1] == f"### ❌ Blocks the merge: {said}"
    assert lines[3].startswith("**Cases:** broke 3 of 60 cases, fixed 12; 6 fail as before. Broke: [`q")
    assert "| ❌ **worse**<br>`golden-set`<br><sub>cases that pass, higher is better</sub> | 0.70 → **0.85** |" in body
    assert "prompt `qa` (1 → 2)" in body
    assert "<summary>Evaluation, case by case: 3 broke, 12 fixed</summary>" in body
    assert "correctness/mean" not in body.partition("<details>")[0]
    assert re.search(r"(?m)^- Latency: p50 1\S+ → 259\S* ms, p95 1\S+ → 312\S* ms$", body)
    (evaluation,) = report["models"][0]["evaluations"]
    page = f"{EXTERNAL_URL}/team/churn/-/ml/candidates/{evaluation['iid']}/evaluation"
    for case in BROKEN:
        assert f"- Broke: [`{case}`]({page}?against={evaluation['baseline_iid']}&case={case}) (`correctness`)" in lines
    assert detectors.read(body).live == ["element <wbr>"]  # our own


def _has_test_cases(report: Any) -> None:
    root = ET.fromstring(junit.render(responses.report(report)))
    suite = next(one for one in root if one.get("name") == "evaluation golden-set of answers")
    kinds = {case.get("name"): failure.get("type") for case in suite for failure in case.findall("failure")}
    assert len(suite) == 60
    failed_before = dict.fromkeys((f"q{place}" for place in WRONG[12:]), "failed before")
    assert kinds == {**dict.fromkeys(BROKEN, "broke"), **failed_before}
    rules = {case.get("name"): next(iter(case)).tag for case in root[0]}
    assert rules["golden-set: must break at most 2 cases"] == "failure"
    assert rules["golden-set · safety: must pass all cases"] == "system-out"


@pytest.mark.parametrize("backend", ["sqlite"])
def test_another_judge_is_named_with_what_to_do(trail: Trail) -> None:
    text = CONTRACT.replace("broke_at_most: 2", "scorer: correctness, worse_by: 0.02")
    said = {"correctness": answers(5, wrong=(1,))}
    evaluate(trail, a_main(trail, SHAS["b"], text, []), said, How(judge="openai:/gpt-4.1"))
    _, pipeline = a_request(trail, [])
    evaluate(trail, pipeline, said, How(judge="openai:/gpt-5|mini"))
    body = trail.report(pipeline)["markdown"]
    assert "can't be compared: judged by `openai:/gpt-5\\|mini` here and by `openai:/gpt-4.1` in the baseline" in body
    assert "| blocks: can't be compared, since the judge model has changed |" in body
    assert (
        "**To do:** this merge request is the cause: evaluate the same cases with the same scorers and judges" in body
    )
