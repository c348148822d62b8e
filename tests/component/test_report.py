"""`mltrail report`: what people read, what GitLab reads, and how it exits."""

import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tests.component.conftest import Job
from tests.component.server import a_metric, a_report, a_row

WAITING = {"state": "waiting", "reason": "2 of 6 runs have not ended"}


def report(job: Job, *arguments: str) -> tuple[int, str, str]:
    return job.run("report", "--poll", "0.001", *arguments)


def written(job: Job, folder: Path, name: str) -> str:
    job.server.lay(f"POST {job.base}/pipelines/1001/report", a_report())
    assert report(job, f"--{name}", str(folder / "deep" / name))[0] == 0
    return (folder / "deep" / name).read_text()


def test_it_says_what_changed(job: Job) -> None:
    job.server.lay(f"POST {job.base}/pipelines/1001/report", a_report())
    code, output, _ = report(job)
    assert code == 0
    assert job.server.asked[0].token == "token-of-the-job"
    assert output.startswith(
        "Blocks the merge: recall is worse: no longer logged\n\nBetter:  val_auc, 0.8873 → 0.8953.\n\n"
    )
    table = [line for line in output.splitlines() if "  " in line][1:5]
    assert [line.rstrip() for line in table] == [
        "verdict         metric                     main → this      what it means",
        "--------------  -------  ----------------  ---------------  -------------------------------",
        "worse (blocks)  recall   higher is better  0.8873 → \N{EN DASH}       no longer logged",
        "better          val_auc  higher is better  0.8873 → 0.8953  +0.8 pp, more than chance makes",
    ]
    assert "Best run: depth-3-seed-1  https://mltrail.example.com/team/churn/-/ml/candidates/7" in output
    assert "learning_rate: 0.05 → 0.2\nwarm_start: (none) → true\n" in output
    assert "Comment: https://gitlab.example.com/team/churn/-/merge_requests/3#note_1" in output
    assert "\033" not in output


def test_it_waits_and_says_once_what_it_waits_for(job: Job) -> None:
    job.server.lay(f"POST {job.base}/pipelines/1001/report", WAITING)
    job.server.lay(f"GET {job.base}/pipelines/1001/report", WAITING, WAITING, a_report())
    code, output, progress = report(job)
    assert (code, progress.count("2 of 6 runs have not ended")) == (0, 1)
    assert "val_auc" in output
    assert [one.method for one in job.server.asked] == ["POST", "GET", "GET", "GET"]


def test_time_is_up(job: Job) -> None:
    job.server.lay(f"POST {job.base}/pipelines/1001/report", WAITING)
    code, output, error = report(job, "--timeout", "0")
    assert code == 4
    assert "2 of 6 runs have not ended" in output
    assert "--no-wait" in error


@pytest.mark.parametrize("option", ["--no-wait", "--wait=false"])
def test_it_need_not_wait(job: Job, option: str) -> None:
    job.server.lay(f"POST {job.base}/pipelines/1001/report", WAITING)
    code, output, _ = report(job, option)
    assert (code, len(job.server.asked)) == (0, 1)
    assert "2 of 6 runs have not ended" in output


def test_a_pipeline_without_runs_is_no_failure(job: Job) -> None:
    job.server.lay(f"POST {job.base}/pipelines/1001/report", {"state": "empty", "reason": "no runs were logged"})
    code, output, _ = report(job, "--fail-on", "unknown")
    assert (code, output) == (0, "Nothing to compare yet: no runs were logged\n")


@pytest.mark.parametrize(
    ("level", "fail_on", "expected"),
    [
        ("bad", "never", 0),
        ("bad", "bad", 1),
        ("unknown", "bad", 0),
        ("unknown", "unknown", 1),
        ("bad", "unknown", 1),
        ("good", "unknown", 0),
        ("neutral", "unknown", 0),
    ],
)
def test_it_fails_when_it_is_asked_to(job: Job, level: str, fail_on: str, expected: int) -> None:
    verdict = {"level": level, "sentence": "so it is"}
    job.server.lay(f"POST {job.base}/pipelines/1001/report", a_report(verdict=verdict))
    assert report(job, "--fail-on", fail_on)[0] == expected


def test_why_there_is_no_comment(job: Job) -> None:
    note = {"state": "none", "url": None, "problem": "the bot is not a member of the project"}
    job.server.lay(f"POST {job.base}/pipelines/1001/report", a_report(note=note))
    assert "No comment was written: the bot is not a member" in report(job)[1]


def test_names_cannot_fake_the_log(job: Job) -> None:
    names = ("a\nb\033[2Jc", "x\r\n0 failed")
    models = [{"name": name, "heading": name, "rows": [a_row(name, "worse", "")]} for name in names]
    summary = {"heading": f"{names[0]} is worse", "lines": [{"label": names[0], "text": names[1]}]}
    models = [model | {"summary": summary} for model in models]
    job.server.lay(f"POST {job.base}/pipelines/1001/report", a_report(models=models, summary=summary))
    output = report(job)[1]
    assert output.startswith("A?b?[2Jc is worse\n\na?b?[2Jc: ")
    assert "x??0 failed" in output
    assert not {"\033", "\r"} & set(output)
    assert not any(line.startswith("0 failed") for line in output.splitlines())


def test_json_is_the_servers_and_nothing_else(job: Job) -> None:
    job.server.lay(f"POST {job.base}/pipelines/1001/report", a_report())
    assert json.loads(report(job, "--json")[1]) == a_report()


def test_junit_fails_what_got_worse_or_vanished(job: Job, tmp_path: Path) -> None:
    suite = ET.fromstring(written(job, tmp_path, "junit")).find("testsuite")
    assert suite is not None
    assert (suite.get("name"), suite.get("tests"), suite.get("failures"), suite.get("skipped")) == (
        *("model churn", "4"),
        *("2", "1"),
    )
    states = {case.get("name"): next(iter(case)).tag for case in suite}
    assert states == {"val_auc": "system-out", "val/log loss": "failure", "val_f1": "skipped", "recall": "failure"}


def test_openmetrics(job: Job, tmp_path: Path) -> None:
    lines = written(job, tmp_path, "metrics").splitlines()
    assert lines[-1] == "# EOF"
    assert 'mltrail_val_log_loss{model="churn",metric="val/log loss"} 0.8953' in lines
    assert not [line for line in lines if "recall" in line], "it has no value in this pipeline"


def test_dotenv_holds_what_later_jobs_may_use_and_no_run(job: Job, tmp_path: Path) -> None:
    variables = dict(line.split("=", 1) for line in written(job, tmp_path, "dotenv").splitlines())
    assert variables["MLTRAIL_VERDICT"] == "bad"
    assert "MLFLOW_RUN_ID" not in variables
    assert all(name.startswith("MLTRAIL_") for name in variables)


def test_a_name_cannot_smuggle_a_variable_into_dotenv(job: Job, tmp_path: Path) -> None:
    models = [{"name": "x\nMLFLOW_RUN_ID=abc\r\nPATH=/evil\u2028A=b\x0bC=d"}]
    job.server.lay(f"POST {job.base}/pipelines/1001/report", a_report(models=models))
    report(job, "--dotenv", str(tmp_path / "env"))
    text = (tmp_path / "env").read_text()
    assert "MLTRAIL_MODELS=x%0AMLFLOW_RUN_ID=abc%0D%0APATH=/evil%E2%80%A8A=b%0BC=d\n" in text
    assert all(line.startswith("MLTRAIL_") for line in text.splitlines())


def test_annotations_link_job_and_candidates(job: Job, tmp_path: Path) -> None:
    ((section, links),) = json.loads(written(job, tmp_path, "annotations")).items()
    assert section == "mltrail"
    assert [link["external_link"]["label"] for link in links] == [
        "Comment on the merge request",
        "churn: best candidate depth-3-seed-1",
        "churn: depth-3-seed-1",
    ]


def test_markdown_is_the_servers(job: Job, tmp_path: Path) -> None:
    assert written(job, tmp_path, "markdown") == "### churn\n"


def test_json_is_the_servers_answer(job: Job) -> None:
    job.server.lay(f"POST {job.base}/pipelines/1001/report", a_report())
    assert json.loads(report(job, "--json")[1]) == a_report()


def test_an_answer_of_another_version_is_an_error(job: Job) -> None:
    job.server.lay(f"POST {job.base}/pipelines/1001/report", {"state": "ready", "models": [{"title": "churn"}]})
    code, _, error = report(job)
    assert code == 3
    assert "same version" in error


def test_the_gate_decides_unless_somebody_has_accepted(job: Job) -> None:
    gate = {"outcome": "fail", "sentence": "gate failed: 1 rule broken"}
    rule = {"metric": "val_auc", "expects": "at least 0.9", "outcome": "fail", "sentence": "0.8, must be at least 0.9"}
    row = a_row("val_auc", "worse", rule["sentence"], outcome="fail")
    model = {"name": "churn", "metrics": [], "rules": [rule], "rows": [row]}
    job.server.lay(f"POST {job.base}/pipelines/1001/report", a_report(gate=gate, models=[model]))
    code, output, _ = report(job)
    assert (code, "worse (blocks)  val_auc" in output, rule["sentence"] in output) == (1, True, True)
    assert report(job, "--fail-on", "never")[0] == 0
    accepted = a_report(gate=gate, models=[model], override={"user": "ada", "reason": "known"})
    job.server.lay(f"POST {job.base}/pipelines/1001/report", accepted)
    code, output, _ = report(job)
    assert (code, "Accepted by ada: known" in output) == (0, True)


def test_junit_has_a_case_a_rule(job: Job, tmp_path: Path) -> None:
    outcomes = {"fail": "failure", "warn": "skipped", "pass": "system-out"}
    rules = [{"metric": "m", "expects": f"rule {name}", "outcome": name, "sentence": "x"} for name in outcomes]
    models = [{"name": "churn", "metrics": [a_metric("other", "worse", "")], "rules": rules}]
    job.server.lay(f"POST {job.base}/pipelines/1001/report", a_report(models=models))
    report(job, "--junit", str(tmp_path / "junit.xml"))
    cases = ET.fromstring((tmp_path / "junit.xml").read_text()).findall("testsuite/testcase")
    assert {case.get("name"): next(iter(case)).tag for case in cases} == {
        f"m: rule {name}": tag for name, tag in outcomes.items()
    }


def test_names_that_differ_in_control_characters_stay_cases_of_their_own(job: Job, tmp_path: Path) -> None:
    """GitLab keeps one case of each name, and the last one would hide the others."""
    names = ["a\0b", "a\1b", "a\\x00b", "a?b", "a\x7fb", "a\ud800b"]
    models = [{"name": name, "metrics": [a_metric("auc", "worse", "-1")]} for name in names]
    job.server.lay(f"POST {job.base}/pipelines/1001/report", a_report(models=models))
    report(job, "--junit", str(tmp_path / "junit.xml"))
    cases = ET.parse(tmp_path / "junit.xml").getroot().iter("testcase")
    assert len({case.get("classname") for case in cases}) == len(names)
