"""The story of examples/answers, with real clients and a real server process: a prompt's change breaks three cases and
fixes twelve, and everything that a reviewer, a job or a person sees says so.
"""

import html
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
import requests
from scripts.demo.answers import ONE_SENTENCE, TWO_SENTENCES, evaluate
from scripts.demo.printing import checked
from scripts.demo.project import DemoProject, Ran
from scripts.demo.world import World

from tests.clients.environments import ENVIRONMENTS
from tests.fakes.gitlab import Pipeline
from tests.places import ROOT, TRAIN_PYTHON

TESTING_PYTHON = ENVIRONMENTS / "mlflow-3/bin/python"
"""Has pytest beside the client."""

BROKE = {
    "Can I control the boiler by voice?",
    "Does Larch cool rooms in summer?",
    "What does a second sensor cost?",
}

ONLY_METRICS = """
import mlflow

mlflow.set_experiment("answers")
with mlflow.start_run():
    mlflow.log_metric("correctness/mean", 0.99)
    mlflow.pyfunc.log_model(name="model", python_model=lambda model_input: model_input, pip_requirements=[])
"""

PRAISE = """
import mlflow
from mlflow.entities import AssessmentSource

experiment = mlflow.get_experiment_by_name("answers")
run = mlflow.search_runs([experiment.experiment_id], order_by=["attributes.start_time DESC"], output_format="list")[0]
for trace in mlflow.search_traces(locations=[experiment.experiment_id], run_id=run.info.run_id, return_type="list"):
    mlflow.log_feedback(
        trace_id=trace.info.trace_id,
        name="correctness",
        value=True,
        source=AssessmentSource(source_type="HUMAN", source_id="dana"),
    )
"""

MOVE = """
try:
    mlflow.genai.set_prompt_alias("support-answer", "production", 2)
except mlflow.MlflowException as error:
    print(error)
print(mlflow.genai.load_prompt("prompts:/support-answer@production").version)
"""

HOW_TO = ROOT / "docs/how-to/evaluate-prompts-and-agents.md"
FOLLOWED = """
import os, runpy, sys

os.chdir("how-to")
sys.path.insert(0, ".")
runpy.run_path("evaluate.py", run_name="__main__")
import mlflow, pytest

print("tests:", int(pytest.main(["-q", "-p", "no:cacheprovider"])))
experiment = mlflow.get_experiment_by_name("how-to")
for run in mlflow.search_runs([experiment.experiment_id], output_format="list"):
    print("run:", run.info.status, dict(run.data.metrics))
"""


@dataclass
class Story:
    """What happened, for the tests to look at."""

    browser: requests.Session
    refused: Ran
    promoted: Ran
    moved: str
    reported: Ran
    note: str
    report: Any
    junit: ET.Element
    after_praise: Ran
    note_after_praise: str
    followed: str

    @property
    def evaluation(self) -> Any:
        (model,) = self.report["models"]
        return next(one for one in model["evaluations"] if one["name"] == "golden-set")

    def page(self, address: str) -> str:
        shown = self.browser.get(address)
        assert shown.status_code == 200, shown.text
        return html.unescape(shown.text)


def signed_in(answers: DemoProject) -> requests.Session:
    """A browser in which the developer has signed in."""
    browser = requests.Session()
    form = browser.get(f"{answers.server}/-/sign-in").text
    found = re.search(r'name="csrf_token" value="([^"]+)"', form)
    assert found
    sent = {"token": answers.developer_token, "csrf_token": found[1], "next": "/"}
    assert browser.post(f"{answers.server}/-/sign-in", data=sent).status_code == 200
    return browser


def report_of(answers: DemoProject, pipeline: Pipeline) -> Any:
    headers = {"Authorization": f"Bearer {answers.developer_token}"}
    response = requests.get(f"{answers.api}/pipelines/{pipeline.id}/report", headers=headers, timeout=60)
    assert response.status_code == 200, response.text
    return response.json()


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    with World(tmp_path_factory.mktemp("world") / "demo", train_python=TRAIN_PYTHON) as world:
        answers = world.open("answers")
        sha = answers.commit("d4" * 20, branch="main")
        bare = answers.branch_pipeline(sha)
        checked(answers.python(bare, "-c", ONLY_METRICS, name="evaluate"))
        refused = answers.promote(bare)

        base = answers.branch_pipeline(sha)
        checked(evaluate(answers, base))
        promoted = answers.promote(base)

        answers.edit("prompt.txt", ONE_SENTENCE, TWO_SENTENCES)
        sha = answers.commit("e5" * 20, parents=(sha,), branch="longer")
        request = answers.gitlab.add_merge_request(answers.project, "longer", "main", "Give customers something to try")
        pipeline = answers.merge_request_pipeline(request, sha)
        checked(evaluate(answers, pipeline))
        checked(answers.run(pipeline, "test", [str(TESTING_PYTHON), "-m", "pytest", "-q"]))
        reported = answers.report(pipeline, "--junit", "junit.xml")
        report = report_of(answers, pipeline)
        junit = ET.parse(answers.checkout / "junit.xml").getroot()
        (note,) = answers.gitlab.notes(answers.project, request.iid)
        body = note.body

        moved = answers.person(PRAISE + MOVE)
        after = answers.report(pipeline)
        (note,) = answers.gitlab.notes(answers.project, request.iid)
        write_how_to(answers.checkout / "how-to")
        followed = replace(answers, train_python=TESTING_PYTHON).person(FOLLOWED)
        yield Story(
            signed_in(answers), refused, promoted, moved, reported, body, report, junit, after, note.body, followed
        )


def write_how_to(folder: Path) -> None:
    """Write the files of the how-to, as a reader would, beside a function that they evaluate."""
    blocks = re.findall(r"^```(json|python)\n(.*?)^```", HOW_TO.read_text(), re.DOTALL | re.MULTILINE)
    cases = next(text for kind, text in blocks if kind == "json")
    files = {"golden.jsonl": cases, "answers.py": "def answer(question):\n    return 'Hold it for fifteen seconds.'\n"}
    for _, text in blocks:
        if name := re.match(r"# (\w+\.py)\n", text):
            files[name[1]] = text.replace('"answers"', '"how-to"')
    folder.mkdir()
    for name, text in files.items():
        (folder / name).write_text(text)


@pytest.mark.e2e
@pytest.mark.train
@pytest.mark.clients
class TestAnswers:
    def test_the_gate_blocks_the_merge_request(self, story: Story) -> None:
        assert story.reported.exit_code == 1
        assert "broke" in story.reported.output

    def test_the_comment_counts_what_broke_and_what_was_fixed(self, story: Story) -> None:
        assert "❌ Blocks" in story.note
        assert "broke 3 of 60 cases, fixed 12" in story.note
        row = next(line for line in story.note.splitlines() if "`correctness`" in line and "golden-set" in line)
        assert "0.70 → **0.85**" in row
        assert "broke 3 of 60 cases (2 allowed)" in row

    def test_the_comment_shows_no_question_and_no_answer(self, story: Story) -> None:
        assert not [question for question in BROKE if question in story.note]
        assert "thermostat" not in story.note.split("Answer in")[0]

    def test_the_comment_says_what_changed_in_the_prompt(self, story: Story) -> None:
        assert "support-answer" in story.note
        assert "two sentences" in story.note

    def test_the_report_has_each_case(self, story: Story) -> None:
        evaluation = story.evaluation
        changes = Counter(case["change"] for case in evaluation["cases"])
        assert changes == {"passed": 39, "fixed": 12, "failed": 6, "broke": 3}
        assert (evaluation["name"], evaluation["broke"], evaluation["fixed"]) == ("golden-set", 3, 12)
        scorers = {one["name"]: (one["baseline"], one["current"]) for one in evaluation["scorers"]}
        assert scorers["correctness"] == (0.7, 0.85)
        assert scorers["grounded"] == (1, 1)
        assert scorers["brevity"] == (5, pytest.approx(4.55))

    def test_junit_has_each_case(self, story: Story) -> None:
        cases = story.junit.findall(".//testcase[@classname='golden-set']")
        kinds = Counter(failure.get("type") for case in cases for failure in case.findall("failure"))
        assert len(cases) == 60
        assert kinds == {"broke": 3, "failed before": 6}

    def test_the_page_shows_the_broken_cases_alone(self, story: Story) -> None:
        shown = story.page(story.evaluation["url"] + "&only=broke")
        assert [question for question in BROKE if question not in shown] == []
        assert "How do I start the setup?" not in shown

    def test_a_broken_case_leads_to_both_answers(self, story: Story) -> None:
        pages = [story.page(case["url"]) for case in story.evaluation["cases"] if case["change"] == "broke"]
        assert len(pages) == 3
        for shown in pages:
            assert "please write to support" in shown

    def test_only_an_evaluated_run_is_promoted(self, story: Story) -> None:
        assert story.refused.exit_code != 0
        assert "golden-set" in story.refused.output
        assert story.promoted.exit_code == 0
        assert "1.0.0" in story.promoted.output

    def test_only_the_promotion_moves_the_prompts_alias(self, story: Story) -> None:
        said, version = story.moved.strip().rsplit("\n", 1)
        assert "promot" in said
        assert version == "1"

    def test_what_a_person_says_changes_nothing(self, story: Story) -> None:
        assert story.after_praise.exit_code == 1
        assert story.note_after_praise == story.note

    def test_the_how_tos_code_runs(self, story: Story) -> None:
        assert "tests: 1" in story.followed  # a test that fails, as the answer is none to its question
        assert "'correctness/mean': 0.3333333333333333" in story.followed
