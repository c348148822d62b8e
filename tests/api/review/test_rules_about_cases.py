"""A rule about cases, from the table that a run logs to what people, jobs and GitLab see of it."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from mltrail_ci import cli
from mltrail_server.app import create_app
from tests.api.promotion.promoting import promote
from tests.api.review.case_tables import HEAD, answers, split, train
from tests.api.review.merge_requests import a_main, a_request
from tests.api.trail import SHAS, Trail
from tests.fakes.gitlab import Pipeline
from tests.fakes.gitlab.serving import Serving
from tests.team import EXTERNAL_URL

pytestmark = pytest.mark.usefixtures("bot_is_a_developer")
BACKENDS = ("sqlite",)
WORSE = "{cases: golden, worse_by: 0.01, then: fail}"
BROKE = "{cases: golden, broke_at_most: 2}"
SAYS = "these two models only: broke 30 of 400 cases, fixed 2, clearly more than the 1.0 pp allowed"


def a_csv(rows: Any) -> bytes:
    return "".join(f"{','.join(map(str, row))}\r\n" for row in [HEAD, *rows]).encode()


def records(rows: Any) -> bytes:
    return json.dumps([dict(zip(HEAD, row, strict=True)) for row in rows]).encode()


FORMATS = {"eval_results_table.json": split, "out/cases.csv": a_csv, "answers.json": records}


def a_contract(name: str, *rules: str) -> str:
    return (
        "version: 1\nmodels:\n  churn:\n    promote: {from: [default]}\n    cases:\n"
        f"      golden: {{table: {name}, id: id, label: target, prediction: prediction}}\n"
        f"    rules: [{', '.join(rules)}]\n"
    )


@dataclass
class Command:
    """`mltrail report`, as the report job runs it."""

    trail: Trail
    url: str
    environment: pytest.MonkeyPatch
    output: pytest.CaptureFixture[str]

    def report(self, pipeline: Pipeline, *arguments: str) -> tuple[int, str]:
        """Answer the exit code and what stands in the job's log."""
        gitlab = self.trail.team.gitlab
        job = gitlab.add_job(pipeline, "report", "test", self.trail.team.users["developer"], "running")
        self.environment.setenv("MLTRAIL_TOKEN", gitlab.mint(job, EXTERNAL_URL))
        self.environment.setenv("CI_PIPELINE_ID", str(pipeline.id))
        code = cli.main(["report", "--server", self.url, *arguments])
        return code, self.output.readouterr().out


@pytest.fixture
def command(trail: Trail, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Command]:
    monkeypatch.setenv("CI_PROJECT_ID", "42")
    with Serving(create_app(trail.deps).wsgi_app) as server:
        yield Command(trail, server.url, monkeypatch, capsys)


@pytest.mark.parametrize(
    ("name", "backend"), [*((name, "sqlite") for name in FORMATS), ("eval_results_table.json", "postgresql")]
)
def test_a_tested_rule(trail: Trail, command: Command, tmp_path: Path, name: str) -> None:
    written = FORMATS[name]
    good, bad = (written(answers(400, wrong=wrong)) for wrong in ([1, 2], range(100, 130)))
    train(trail, a_main(trail, SHAS["b"], a_contract(name, WORSE), []), [{name: good}])
    request, pipeline = a_request(trail, [])
    train(trail, pipeline, [{name: bad}])

    code, log = command.report(pipeline, "--junit", str(tmp_path / "junit.xml"))
    assert code == 1
    assert log.startswith("Blocks the merge: golden of churn is worse, accuracy 0.995 → 0.925\n")
    (line,) = [one for one in log.splitlines() if one.startswith("worse (blocks)")]
    assert line.endswith(SAYS)

    (note,) = trail.notes(request)
    assert "### ❌ Blocks the merge: `golden` of `churn` is worse, accuracy 0.995 → 0.925" in note
    assert f"| {SAYS} |" in note
    assert "<summary>Case by case: 30 broke, 2 fixed</summary>" in note
    assert "\n- Fixed: `case-1`, `case-2`\n" in note
    assert "- `golden` accuracy must not drop by more than 1.0 pp: a clear breach blocks" in note

    code, output = command.report(pipeline, "--json")
    (model,) = json.loads(output)["models"]
    (table,), (rule,) = model["cases"], model["rules"]
    assert code == 1
    assert (table["verdict"], table["broke"], table["fixed"], table["n"]) == ("worse", 30, 2, 400)
    assert table["these_models"]["high"] < -0.01
    assert (rule["cases"], rule["outcome"], rule["verdict"], rule["sentence"]) == ("golden", "fail", "worse", SAYS)

    (case,) = ET.parse(tmp_path / "junit.xml").iter("testcase")
    assert case.get("name") == "golden: accuracy must not drop by more than 1.0 pp"
    (failure,) = case
    assert (failure.tag, failure.get("message")) == ("failure", f"worse: {SAYS}")


def test_with_several_runs_a_side_the_change_is_what_is_tested(trail: Trail, command: Command, tmp_path: Path) -> None:
    """The named model is the last run, which is as good as the baseline's: the others show that the recipe is worse."""
    before = [answers(400, wrong=range(first, first + 4)) for first in (0, 4, 8)]
    now = [*(answers(400, wrong=range(first, first + 40)) for first in (100, 120)), answers(400, wrong=range(90, 110))]
    main = a_main(trail, SHAS["b"], a_contract("cases.json", WORSE, "{cases: golden, broke_at_most: 30}"), [])
    train(trail, main, [{"cases.json": split(rows)} for rows in before])
    request, pipeline = a_request(trail, [])
    train(trail, pipeline, [{"cases.json": split(rows)} for rows in now])

    says = "3 runs here against 3 of the baseline, on the same 400 cases: accuracy \N{MINUS SIGN}7.3 pp, "
    says += "clearly more than the 1.0 pp allowed"
    code, log = command.report(pipeline, "--junit", str(tmp_path / "junit.xml"))
    assert code == 1
    assert log.startswith("Blocks the merge: golden of churn is worse, accuracy 0.990 → 0.917\n")
    assert says in log
    (note,) = trail.notes(request)
    assert f"| {says} |" in note
    assert "broke 20 of 400 cases, fixed 4" in note, "the bar counts between the two named models"
    assert "such trainings and test sets would look like this" in note
    assert "This is what is judged." in note

    code, output = command.report(pipeline, "--json")
    (model,) = json.loads(output)["models"]
    (table,), rules = model["cases"], {one["expects"]: one for one in model["rules"]}
    assert (table["verdict"], table["judged"], table["broke"], table["fixed"]) == ("worse", "the_change", 20, 4)
    assert table["the_change"]["high"] < -0.01
    assert rules["must break at most 30 cases"]["outcome"] == "pass"
    assert rules["accuracy must not drop by more than 1.0 pp"]["sentence"] == says

    failures = [one.get("message") for one in ET.parse(tmp_path / "junit.xml").iter("failure")]
    assert failures == [f"worse: {says}"]


def test_a_bad_seed_alone_blocks_nothing(trail: Trail, command: Command) -> None:
    before = [answers(400, wrong=range(first, first + 10)) for first in (0, 4, 8)]
    now = [*(answers(400, wrong=range(first, first + 10)) for first in (2, 6)), answers(400, wrong=range(100, 130))]
    main = a_main(trail, SHAS["b"], a_contract("cases.json", WORSE), [])
    train(trail, main, [{"cases.json": split(rows)} for rows in before])
    request, pipeline = a_request(trail, [])
    train(trail, pipeline, [{"cases.json": split(rows)} for rows in now])
    assert command.report(pipeline)[0] == 0
    assert "broke 30 of 400 cases, fixed 10" in trail.notes(request)[0]


def test_a_loss_that_chance_explains_passes(trail: Trail, command: Command) -> None:
    name, text = "cases.json", a_contract("cases.json", WORSE, "{cases: golden, broke_at_most: 8}")
    train(trail, a_main(trail, SHAS["b"], text, []), [{name: split(answers(400, wrong=[1, 2]))}])
    request, pipeline = a_request(trail, [])
    train(trail, pipeline, [{name: split(answers(400, wrong=range(100, 108)))}])
    code, log = command.report(pipeline)
    assert code == 0
    assert "these two models only: broke 8 of 400 cases, fixed 2, could be chance" in log
    assert "Does not block" in trail.notes(request)[0]


@pytest.mark.parametrize("rule", [WORSE, BROKE])
def test_what_breaks_it_is_not_promoted(trail: Trail, command: Command, rule: str) -> None:
    name, text = "cases.json", a_contract("cases.json", rule)
    train(trail, a_main(trail, SHAS["b"], text, []), [{name: split(answers(400, wrong=[1, 2]))}])
    second = trail.main(SHAS["c"], text)
    train(trail, second, [{name: split(answers(400, wrong=range(100, 130)))}])
    (promotion,) = promote(trail, second)
    assert promotion["state"] == "refused"
    assert promotion["reason"].startswith("the gate is red: golden: worse: ")
    assert "broke 30 of 400 cases" in promotion["reason"]
    assert command.report(second)[0] == 1
