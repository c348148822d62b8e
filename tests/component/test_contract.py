"""`mltrail contract check`: at a desk, and against a pipeline."""

import json
from pathlib import Path

import pytest

from tests.component.conftest import Job

GOOD = "version: 1\nmodels:\n  churn:\n    rules:\n      - {metric: val_auc, at_least: 0.9}\n"
BAD = GOOD.replace("at_least", "at_lest")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "contract.yml"


def test_a_good_file_needs_no_server(job: Job, file: Path) -> None:
    file.write_text(GOOD)
    code, output, _ = job.run("contract", "check", str(file))
    assert (code, output) == (0, f"{file} is valid: 1 model, 1 rule.\n")
    assert job.server.asked == []


def test_mistakes_are_printed_as_a_compiler_does(job: Job, file: Path) -> None:
    file.write_text(BAD)
    code, output, _ = job.run("contract", "check", str(file))
    assert code == 1
    assert output.startswith(f"{file}:5:27: models.churn.rules[0].at_lest: unknown key")
    code, output, _ = job.run("contract", "check", str(file), "--json")
    (problem,) = json.loads(output)["problems"]
    assert (problem["line"], problem["column"]) == (5, 27)


def test_a_missing_file_is_an_error(job: Job, file: Path) -> None:
    code, _, error = job.run("contract", "check", str(file))
    assert (code, "No such file" in error, "root of the repository" in error) == (2, True, True)


@pytest.mark.parametrize(("outcome", "expected"), [("fail", 1), ("warn", 0), ("pass", 0), (None, 0)])
def test_a_pipeline_shows_what_it_would_say(job: Job, file: Path, outcome: str | None, expected: int) -> None:
    file.write_text(GOOD)
    rule = {"metric": "val_auc", "expects": "at least 0.9", "outcome": "fail", "sentence": "0.8 is less"}
    answer = {"gate": {"outcome": outcome, "sentence": "so it is"}, "models": [{"name": "churn", "rules": [rule]}]}
    job.server.lay(f"POST {job.base}/pipelines/77/contract", answer)
    code, output, _ = job.run("contract", "check", str(file), "--pipeline", "77")
    assert code == expected
    assert "Pipeline 77: so it is" in output
    assert output.splitlines()[-1].split() == ["fail", "churn", "val_auc", "at", "least", "0.9", "0.8", "is", "less"]
    assert job.server.asked[0].body == {"contract": GOOD}
