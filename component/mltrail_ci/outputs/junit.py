"""JUnit: one test case per rule of the contract, so that GitLab's free merge request widget shows the gate; without
rules, one per metric.

https://docs.gitlab.com/ci/testing/unit_test_reports/
"""

from collections.abc import Iterator
from typing import NamedTuple

from mltrail_ci.responses import Model, Report

from .text import clean, exact

_FAILURE = "worse"  # also said of a metric that is no longer logged: deleting one is no way to pass
_UNKNOWN = "can't tell yet"


class _Case(NamedTuple):
    """`state` is failure, skipped or system-out: JUnit has no warnings, so a warning is a skipped case, which shows."""

    name: str
    state: str
    kind: str
    sentence: str


def render(report: Report) -> str:
    """A broken rule is a failure; one that only warns, or whose outcome is unknown, is skipped. Without rules, a metric
    that got worse or is missing is a failure.
    """
    # XML is loaded only if it is needed.
    from xml.etree import ElementTree as ET  # noqa: PLC0415 - XML is only written here, never read

    root = ET.Element("testsuites", name="mltrail")
    for model in report.models:
        suite = ET.SubElement(root, "testsuite", name=exact(f"model {model.name}"))
        for one in _cases(model):
            case = ET.SubElement(suite, "testcase", classname=exact(f"model {model.name}"), name=exact(one.name))
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


def _cases(model: Model) -> Iterator[_Case]:
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
