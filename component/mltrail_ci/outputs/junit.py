"""JUnit: one test case a metric, so that GitLab's free merge request widget shows the comparison.

https://docs.gitlab.com/ci/testing/unit_test_reports/
"""

from mltrail_ci.answers import Report

from .text import clean

# A metric that is gone fails too, or deleting one would be a way to pass.
_FAILURES = frozenset({"worse", "gone"})


def render(report: Report) -> str:
    """A metric that got worse or is gone is a failure, one that can't be told is skipped."""
    # XML is loaded only by those who want some.
    from xml.etree import ElementTree as ET  # noqa: PLC0415 - it is written here, never read

    root = ET.Element("testsuites", name="mltrail")
    for model in report.models:
        suite = ET.SubElement(root, "testsuite", name=clean(f"model {model.name}"))
        for metric in model.metrics:
            case = ET.SubElement(suite, "testcase", classname=clean(f"model {model.name}"), name=clean(metric.name))
            sentence = clean(metric.sentence)
            if metric.judgement in _FAILURES:
                ET.SubElement(case, "failure", message=sentence, type=metric.judgement).text = sentence
            elif metric.judgement == "unknown":
                ET.SubElement(case, "skipped", message=sentence)
            else:
                ET.SubElement(case, "system-out").text = sentence
        suite.set("tests", str(len(model.metrics)))
        suite.set("failures", str(len(suite.findall("testcase/failure"))))
        suite.set("skipped", str(len(suite.findall("testcase/skipped"))))
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"
