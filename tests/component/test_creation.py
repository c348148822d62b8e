"""GitLab's rules of which pipelines there are, and what they hold: those that gitlab-ci-local does not enforce."""

from textwrap import dedent

import pytest

from tests.component.creation import RefusedError, pipeline, read
from tests.component.expressions import ExpressionError, holds
from tests.component.runner import KINDS, variables_of

A_JOB = "train: {script: [train]}\n"
REQUESTS = {"merge request", "merged results", "merge train", "child of a merge request"} | {
    "fork, in the fork",
    "fork, run by a member",
}
STANDARD = """
workflow:
  rules:
    - if: $CI_PIPELINE_SOURCE == "merge_request_event"
    - if: $CI_COMMIT_BRANCH && $CI_OPEN_MERGE_REQUESTS
      when: never
    - if: $CI_COMMIT_BRANCH || $CI_COMMIT_TAG
"""


def made(text: str, kind: str = "default branch") -> set[str] | None:
    jobs = pipeline(read(dedent(text)), variables_of(kind))
    return None if jobs is None else set(jobs)


@pytest.mark.parametrize("kind", KINDS)
def test_a_job_without_rules_is_for_branches_and_tags(kind: str) -> None:
    assert made(A_JOB, kind) == (None if kind in REQUESTS else {"train"})


@pytest.mark.parametrize("kind", KINDS)
def test_with_workflow_rules_it_is_in_all_that_they_allow(kind: str) -> None:
    allowed = kind not in {"branch of a merge request", "child of a merge request"}
    assert made(A_JOB + STANDARD, kind) == ({"train"} if allowed else None)


def test_a_workflow_without_rules_changes_nothing() -> None:
    assert made(A_JOB + "workflow: {name: Train}\n", "merge request") is None


@pytest.mark.parametrize("stages", [[".post"], [".pre"], [".pre", ".post"]])
def test_pre_and_post_alone_are_no_pipeline(stages: list[str]) -> None:
    jobs = "".join(f"job{number}: {{stage: {stage}, script: [a]}}\n" for number, stage in enumerate(stages))
    assert made(jobs) is None
    assert made(jobs + A_JOB) == {"train"} | {f"job{number}" for number in range(len(stages))}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a: {script: [a], needs: [b]}", "undefined need: b"),
        ("a: {script: [a], needs: [b]}\nb: {script: [b], rules: [{if: $NO}]}", "does not exist in the pipeline"),
        ("a: {script: [a], needs: [b]}\nb: {script: [b], only: [tags]}", "does not exist in the pipeline"),
        ("a: {script: [a], needs: [b], stage: build}\nb: {script: [b]}", "not defined in current or prior stages"),
        ("a: {script: [a], stage: train}", "chosen stage train does not exist; available stages are .pre, build"),
        (
            "stages: [train]\na: {script: [a]}",
            "chosen stage test does not exist; available stages are .pre, train, .post",
        ),
        ("a: {script: [a], only: [main], rules: [{when: always}]}", "key may not be used with `rules`: only"),
        (".b: {rules: [{when: always}]}\na: {extends: .b, script: [a], except: [main]}", "`rules`: except"),
        ("a: {extends: .b, script: [a]}", r"unknown keys in `extends` \(.b\)"),
        (".a: {extends: .b}\n.b: {extends: .a}\na: {extends: .a, script: [a]}", "circular"),
        ("a: {variables: {A: b}}", "should implement the script:, run:, or trigger: keyword"),
        ("a: {script: !reference [.b, script]}", "could not be found"),
        ("a: {script: [a], rules: [{if: $A ==}]}", "rule if"),
        ("default: {script: [a]}\na: {script: [a]}", "default config contains unknown keys: script"),
        ("a: {script: [a], rules: [{when: always, needs: [b]}]}", "undefined need: b"),
    ],
)
def test_what_is_refused(text: str, why: str) -> None:
    with pytest.raises(RefusedError, match=why):
        made(text)


def test_an_optional_need_may_be_anywhere_or_nowhere() -> None:
    assert made("a: {script: [a], needs: [{job: b, optional: true}]}") == {"a"}
    assert made("a: {script: [a], needs: [{job: b, optional: true}]}\nb: {script: [b], only: [tags]}") == {"a"}


def test_extends_merges_hashes_and_replaces_lists() -> None:
    config = read(
        dedent("""
        .a: {variables: {A: a, B: a}, id_tokens: {X: {aud: x}}, rules: [{if: $A}], tags: [a], script: [a]}
        b:
          extends: .a
          variables: {B: b}
          id_tokens: {Y: {aud: y}}
          rules: [{when: always}]
        """)
    )
    assert config["b"] == {
        "variables": {"A": "a", "B": "b"},
        "id_tokens": {"X": {"aud": "x"}, "Y": {"aud": "y"}},
        "rules": [{"when": "always"}],
        "tags": ["a"],
        "script": ["a"],
    }


def test_a_jobs_own_keyword_replaces_that_of_default_as_a_whole() -> None:
    text = "default: {id_tokens: {V: {aud: v}}, tags: [gpu]}\n"
    token = pipeline(read(text + "a: {script: [a], id_tokens: {X: {aud: x}}}"), variables_of("tag"))
    assert token is not None
    assert (token["a"].config["id_tokens"], token["a"].config["tags"]) == ({"X": {"aud": "x"}}, ["gpu"])
    none = pipeline(read(text + "a: {script: [a], inherit: {default: false}}"), variables_of("tag"))
    assert none is not None
    assert not none["a"].config.keys() & {"id_tokens", "tags"}


@pytest.mark.parametrize(
    ("only", "kinds"),
    [
        ("[merge_requests]", REQUESTS - {"child of a merge request"}),
        ("[main]", {"default branch", "schedule", "by hand", "by the API", "by a trigger", "of another project"} | {
            "child of the default branch"}),
        ("[tags]", {"tag"}),
        ("[schedules]", {"schedule", "schedule of another branch"}),
        ("{refs: [branches], variables: [$CI_OPEN_MERGE_REQUESTS]}", {"branch of a merge request"}),
        ("[/^fast/]", {"branch", "branch of a merge request", "schedule of another branch"}),
    ],
)  # fmt: skip
def test_only_knows_kinds_and_refs(only: str, kinds: set[str]) -> None:
    found = {kind for kind in KINDS if made(f"a: {{script: [a], only: {only}}}", kind)}
    assert found == kinds


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("$A", True),
        ("$EMPTY", False),
        ("$NONE", False),
        ('$A == "a"', True),
        ("$A == 'b' || $A", True),
        ("$NONE == null", True),
        ("$NONE == $NEITHER", True),
        ("$NONE != $NEITHER", False),
        ('$A == "b" && $A == "a" || $A', True),
        ('$A == "b" && ($A == "a" || $A)', False),
        ("$A =~ /^A$/i", True),
        ("$NONE =~ /a/", False),
        ("$A !~ /b/", True),
        ("${A} == $A", True),
    ],
)
def test_expressions(expression: str, expected: bool) -> None:
    assert holds(expression, {"A": "a", "EMPTY": ""}) is expected


@pytest.mark.parametrize("expression", ["$A ==", "$A & $B", "a == b", "($A", "$A $B", "$A =~ 'a'"])
def test_expressions_that_gitlab_refuses(expression: str) -> None:
    with pytest.raises(ExpressionError):
        holds(expression, {"A": "a"})
