"""A contract file that can't be read must not let the gate pass: nor may mending it be a way to relax it."""

import codecs

import pytest

from mltrail_contract import FILE_NAME
from mltrail_server.services.contract import contracts
from mltrail_server.settings import Settings
from tests.api.ci.published import publishing
from tests.api.review.merge_requests import RULE, a_main, a_request, contract
from tests.api.trail import SHAS, Trail
from tests.fakes.gitlab.faults import How

GOOD, BAD = [0.80, 0.81, 0.82], [0.60, 0.61, 0.62]
TEXT = contract(RULE).replace("rules:", "rank_by: präzision\n    rules:")
LAX = contract("{metric: val_accuracy, better: higher, worse_by: 0.9}")
NO_TEXT = {
    "latin-1": TEXT.encode("latin-1"),
    "cp1252": TEXT.replace("ä", "“").encode("cp1252"),
    "utf-16": TEXT.encode("utf-16"),
    "utf-16-be with a mark": codecs.BOM_UTF16_BE + TEXT.encode("utf-16-be"),
    "utf-16-le": TEXT.encode("utf-16-le"),
    "utf-16-be": TEXT.encode("utf-16-be"),
    "utf-32": TEXT.encode("utf-32"),
    "utf-8 cut in a character": TEXT.encode()[: TEXT.encode().index("ä".encode()) + 1],
    "a surrogate": TEXT.encode().replace("ä".encode(), b"\xed\xa0\x80"),
    "NUL": TEXT.encode() + b"#\0\n",
    "NUL in a value": TEXT.encode().replace("ä".encode(), b"\0"),
    "too long": b"#" * 3_000_000,
    "too long, and cut in a character": "ä".encode() * 600_000,
}


def broken_main(trail: Trail, content: str | bytes, sha: str = SHAS["d"]) -> None:
    """Break the file on the target branch, after it was good there."""
    gitlab, project = trail.team.gitlab, trail.team.project
    gitlab.add_commit(project, sha, parents=(project.branches["main"],), branch="main", files={FILE_NAME: content})


@pytest.mark.parametrize("content", NO_TEXT.values(), ids=list(NO_TEXT))
def test_what_is_no_utf_8_fails_the_gate(trail: Trail, content: bytes) -> None:
    a_main(trail, SHAS["b"], None, GOOD)
    broken_main(trail, content)
    _, pipeline = a_request(trail, GOOD)
    for method in ("POST", "GET"):
        gate = trail.report(pipeline, method)["gate"]
        assert (gate["outcome"], gate["sentence"]) == ("fail", "contract invalid")
        assert len(gate["problems"]) == 1


def test_a_byte_order_mark_of_utf_8_is_no_mistake(trail: Trail) -> None:
    a_main(trail, SHAS["b"], None, GOOD)
    broken_main(trail, codecs.BOM_UTF8 + TEXT.encode())
    _, pipeline = a_request(trail, BAD)
    assert trail.report(pipeline)["gate"]["sentence"] == "gate failed: 1 rule broken"


def test_no_character_is_replaced_in_silence(trail: Trail) -> None:
    a_main(trail, SHAS["b"], None, GOOD)
    _, pipeline = a_request(trail, GOOD, {FILE_NAME: NO_TEXT["latin-1"]})
    report = trail.report(pipeline)
    assert report["proposed"]["sentence"] == "contract invalid"
    (problem,) = report["proposed"]["problems"]
    assert "not UTF-8 (byte 0xe4)" in problem["message"]
    assert problem["line"] == 4


@pytest.mark.parametrize("broken", ["models: [", "version: 7", "", TEXT.encode("utf-16")])
class TestMending:
    def test_others_are_red_and_the_note_says_so(self, trail: Trail, broken: str | bytes) -> None:
        a_main(trail, SHAS["b"], TEXT, GOOD)
        broken_main(trail, broken)
        request, pipeline = a_request(trail, GOOD)
        assert trail.report(pipeline)["gate"]["outcome"] == "fail"
        assert "can't be read, so no rule was checked" in trail.notes(request)[0]

    @pytest.mark.parametrize(("values", "outcome"), [(GOOD, "pass"), (BAD, "fail")])
    def test_a_fix_is_judged_by_the_last_good_one_too(
        self, trail: Trail, broken: str | bytes, values: list[float], outcome: str
    ) -> None:
        a_main(trail, SHAS["b"], TEXT, GOOD)
        broken_main(trail, broken)
        request, pipeline = a_request(trail, values, {FILE_NAME: LAX})
        gate = trail.report(pipeline)["gate"]
        assert gate["outcome"] == outcome
        assert "mended here; by the last valid one" in gate["sentence"]
        assert "this merge request mends it" in trail.notes(request)[0]

    def test_by_its_own_stricter_rules_too(self, trail: Trail, broken: str | bytes) -> None:
        a_main(trail, SHAS["b"], LAX, GOOD)
        broken_main(trail, broken)
        _, pipeline = a_request(trail, BAD, {FILE_NAME: TEXT})
        gate = trail.report(pipeline)["gate"]
        assert (gate["outcome"], "by the mended one: gate failed" in gate["sentence"]) == ("fail", True)

    def test_where_no_good_one_is_known_its_own_decides_and_warns(self, trail: Trail, broken: str | bytes) -> None:
        a_main(trail, SHAS["b"], None, GOOD)
        broken_main(trail, broken)
        _, pipeline = a_request(trail, GOOD, {FILE_NAME: TEXT})
        gate = trail.report(pipeline)["gate"]
        assert (gate["outcome"], "no earlier one is known" in gate["sentence"]) == ("warn", True)

    @pytest.mark.parametrize("own", [None, "models: {", TEXT.encode("latin-1")])
    def test_removing_it_or_breaking_it_otherwise_mends_nothing(
        self, trail: Trail, broken: str | bytes, own: str | bytes | None
    ) -> None:
        a_main(trail, SHAS["b"], TEXT, GOOD)
        broken_main(trail, broken)
        _, pipeline = a_request(trail, GOOD, {FILE_NAME: own})
        assert trail.report(pipeline)["gate"]["outcome"] == "fail"


def test_the_last_good_one_is_found_in_the_branchs_history(trail: Trail) -> None:
    # No pipeline of main has ever been looked at.
    gitlab, project = trail.team.gitlab, trail.team.project
    main = a_main(trail, SHAS["b"], TEXT, GOOD)
    for number in range(3):
        broken_main(trail, f"version: {number + 2}", sha=f"{number:040x}")
    _, pipeline = a_request(trail, BAD, {FILE_NAME: LAX})
    assert main.sha != project.branches["main"]
    assert trail.report(pipeline)["gate"]["outcome"] == "fail"
    assert ("GET", "/api/v4/projects/42/repository/commits") in gitlab.requests


def test_another_branchs_lax_file_is_not_the_last_good_one(trail: Trail) -> None:
    gitlab, project = trail.team.gitlab, trail.team.project
    a_main(trail, SHAS["b"], TEXT, GOOD)
    gitlab.add_commit(project, SHAS["e"], parents=(SHAS["b"],), branch="mine", files={FILE_NAME: LAX})
    request, pipeline = a_request(trail, BAD, {FILE_NAME: LAX})
    request.target_branch = "mine"
    assert trail.report(pipeline)["gate"]["outcome"] == "pass"
    request.target_branch = "main"
    broken_main(trail, "models: [")
    trail.clock.advance(contracts.REREAD_AFTER_MS)
    assert trail.report(pipeline)["gate"]["outcome"] == "fail"


def test_the_thread_is_shown_where_the_last_good_file_wants_it(trail: Trail) -> None:
    trail.team.project.members[trail.team.users["bot"].id] = 30
    a_main(trail, SHAS["b"], publishing("thread", "status"), GOOD)
    broken_main(trail, "models: [")
    request, pipeline = a_request(trail, GOOD)
    trail.report(pipeline)
    thread = request.discussions[0].notes[0].body
    assert "- `.mltrail.yml` on `main` can't be read, line 1: `" in thread, "it names the place to mend"
    assert trail.team.project.statuses[pipeline.id][-1][1] == "failed"


@pytest.mark.parametrize("how", ["status", "cut"])
def test_a_file_that_gitlab_does_not_give_out_is_red_until_it_does(trail: Trail, how: How) -> None:
    a_main(trail, SHAS["b"], TEXT, GOOD)
    trail.work()
    request, pipeline = a_request(trail, GOOD)
    trail.team.gitlab.fail_next("GET", "/raw$", 503, how=how)
    trail.work()
    assert "has not been read yet" in trail.notes(request)[0]
    # Nobody has to ask: the worker comes again by itself.
    trail.work(seconds=60)
    assert "has not been read yet" not in trail.notes(request)[0]
    assert trail.report(pipeline, "GET")["gate"]["outcome"] == "pass"


def test_it_fails_unless_the_operator_says_otherwise() -> None:
    assert Settings().invalid_contract == "fail"
