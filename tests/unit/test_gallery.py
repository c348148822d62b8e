"""The gallery of comments shows what the product says now."""

from collections import Counter
from xml.etree import ElementTree as ET

import pytest
from scripts import gallery

from mltrail_ci.outputs import junit
from mltrail_server.domain.verdict import Verdict
from tests.fakes.gitlab import detectors


def test_the_pages_are_up_to_date() -> None:
    """Run `PYTHONPATH=. python -m scripts.gallery` after a sentence has changed."""
    assert {path.name: path.read_text() for path in gallery.FOLDER.glob("*.md")} == gallery.pages()


@pytest.mark.parametrize("situation", gallery.SITUATIONS, ids=lambda one: one.name)
def test_each_comment_is_inert_and_says_whether_it_blocks(situation: gallery.Situation) -> None:
    text = gallery.note_of(situation)
    assert (detectors.quick_actions(text), detectors.mentions(text), detectors.references(text)) == ([], [], [])
    heading = text.splitlines()[1]
    assert heading.startswith("### ")
    assert any(words in heading for words in ("Blocks the merge", "Does not block", "No runs"))
    assert len(text) < 60_000


@pytest.mark.parametrize("situation", gallery.SITUATIONS, ids=lambda one: one.name)
def test_log_and_comment_say_the_same(situation: gallery.Situation) -> None:
    heading = gallery.note_of(situation).splitlines()[1]
    plain = heading.partition(" ")[2].partition(" ")[2].replace("`", "").replace("<wbr>", "")
    log = gallery.log_of(situation)
    assert log.splitlines()[0] == plain.replace("<code>", "").replace("</code>", "")
    assert not set("✅❌⚠❔\N{HEAVY MINUS SIGN}") & set(log)
    assert any(verdict in log for verdict in Verdict) or not situation.make().runs


def test_junit_has_a_test_case_for_each_case_of_an_evaluation() -> None:
    situation = next(one for one in gallery.SITUATIONS if one.name == "evaluation")
    suite = ET.fromstring(junit.render(gallery.received(situation))).findall("testsuite")[1]
    assert (suite.get("name"), suite.get("tests")) == ("evaluation golden-set of answers", "200")
    assert {case.get("classname") for case in suite} == {"golden-set"}
    kinds = Counter(failure.get("type") for failure in suite.iter("failure"))
    assert kinds == {"broke": 3, "failed before": 21}
    (broken,) = [case for case in suite if case.get("name", "").startswith("4b2277")]
    assert [one.get("message") for one in broken] == ["broke: correctness (passed on main)"]
    assert sum((case.findtext("system-out") or "").startswith("fixed: ") for case in suite) == 12
