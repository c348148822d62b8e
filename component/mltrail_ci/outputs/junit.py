"""JUnit: one test case per rule of the contract, so that GitLab's free merge request widget shows the gate; without
rules, one per metric. Each case of an evaluation is a test case, too.

https://docs.gitlab.com/ci/testing/unit_test_reports/
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from mltrail_ci.responses import Case as EvaluatedCase
from mltrail_ci.responses import Evaluation, Model, Report

from .text import clean, exact

_FAILURE = "worse"  # also said of a metric that is no longer logged: deleting one is no way to pass
_UNKNOWN = "can't tell yet"
_MOST_NAMED = 10


class _Case(NamedTuple):
    """`state` is failure, skipped or system-out: JUnit has no warnings, so a warning is a skipped case, which shows."""

    name: str
    state: str
    kind: str
    sentence: str


def render(report: Report) -> str:
    """A broken rule is a failure; one that only warns, or whose outcome is unknown, is skipped. Without rules, a metric
    that got worse or is missing is a failure. So is a case of an evaluation that some scorer fails.
    """
    # XML is loaded only if it is needed.
    from xml.etree import ElementTree as ET  # noqa: PLC0415 - XML is only written here, never read

    root = ET.Element("testsuites", name="mltrail")
    for suite_name, class_name, cases in _suites(report):
        suite = ET.SubElement(root, "testsuite", name=exact(suite_name))
        for one in cases:
            case = ET.SubElement(suite, "testcase", classname=exact(class_name), name=exact(one.name))
            sentence = clean(one.sentence)
            if one.state == "failure":
                ET.SubElement(case, "failure", message=sentence, type=one.kind).text = sentence
            elif one.state == "skipped":
                ET.SubElement(case, "skipped", message=sentence)
            else:
                ET.SubElement(case, "system-out").text = sentence
        suite.set("tests", str(len(suite)))
        suite.set("failures", str(len(suite.findall("testcase/failure"))))
        suite.set("skipped", str(len(suite.findall("testcase/skipped"))))
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _suites(report: Report) -> Iterator[tuple[str, str, Iterator[_Case]]]:
    """Return for each suite its name, its cases' class, and the cases. GitLab treats cases with the same class and name
    as one, so evaluations with the same name get their model's, too.
    """
    names = Counter(one.name for model in report.models for one in model.evaluations)
    for model in report.models:
        yield f"model {model.name}", f"model {model.name}", _cases(model)
        for one in model.evaluations:
            if one.cases:
                class_name = one.name if names[one.name] == 1 else f"{model.name}: {one.name}"
                yield f"evaluation {one.name} of {model.name}", class_name, _evaluated(one, model.against or "target")


def _evaluated(evaluation: Evaluation, against: str) -> Iterator[_Case]:
    """A case that some scorer fails is a failure; its type tells one that broke from one that failed before, too."""
    for one in evaluation.cases:
        yield _Case(one.id, *_said(one, against))
    if evaluation.left_out:
        yield _Case("further cases", "skipped", "", f"{evaluation.left_out:,} more cases are on the evaluation's page")


def _said(one: EvaluatedCase, against: str) -> tuple[str, str, str]:
    if one.change == "missing":
        return "skipped", one.change, f"evaluated on {against}, but not here"
    if one.broke:
        others = [name for name in one.failed if name not in one.broke]
        more = f"; also failed before: {_names(others)}" if others else ""
        return "failure", "broke", f"broke: {_names(one.broke)} (passed on {against}){more}"
    fixed = f"fixed: {_names(one.fixed)} (failed on {against})" if one.fixed else ""
    if one.failed:
        failed = f"also failed before: {_names(one.failed)}" if one.in_baseline else f"fails: {_names(one.failed)}"
        return "failure", "failed before" if one.in_baseline else "failed", "; ".join(filter(None, (fixed, failed)))
    if one.change == "not judged":
        return "skipped", one.change, "no scorer passes or fails it"
    return "system-out", one.change, fixed or "passed"


def _names(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_MOST_NAMED])
    return shown if len(names) <= _MOST_NAMED else f"{shown} and {len(names) - _MOST_NAMED} more"


def _cases(model: Model) -> Iterator[_Case]:
    if model.imported:
        yield _Case("baseline is verified", "skipped", "", f"the baseline was {model.imported}")
    for rule in model.rules:
        state = {"fail": "failure", "warn": "skipped"}.get(rule.outcome, "system-out")
        sentence = f"{rule.verdict}: {rule.sentence}" if rule.verdict else rule.sentence
        yield _Case(f"{rule.metric}: {rule.expects}", state, rule.verdict or "rule", sentence)
    if model.silence:
        state = "failure" if model.gate == "fail" else "skipped"
        yield _Case("is trained", state, "silence", model.silence)
    elif not model.rules:
        for metric in model.metrics:
            state = {_FAILURE: "failure", _UNKNOWN: "skipped"}.get(metric.verdict, "system-out")
            yield _Case(metric.name, state, metric.verdict, f"{metric.verdict}: {metric.sentence}")
