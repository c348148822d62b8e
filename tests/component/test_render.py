"""The renderer refuses what GitLab refuses, so that a template which passes here passes there."""

from typing import Any

import pytest
import yaml

from tests.component.render import RenderError, render_text

HEAD = """\
spec:
  inputs:
    name:
      default: train
      regex: ^[a-z:#]+$
    needs:
      type: array
      default: []
"""
BODY = '"$[[ inputs.name ]]":\n  script: [echo]\n  needs: $[[ inputs.needs ]]\n'


def rendered(*, head: str = HEAD, body: str = BODY, **given: Any) -> dict[str, Any]:
    return render_text(f"{head}---\n{body}", given)


def test_what_is_right_is_rendered() -> None:
    assert rendered(name="tune", needs=["a: [b, c]"]) == {"tune": {"script": ["echo"], "needs": ["a: [b, c]"]}}


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"nmae": "x"}, "unknown input"),
        ({"name": 3}, "not of the type string"),
        ({"name": "A"}, "pattern"),
        ({"name": "a\n"}, "pattern"),
        ({"needs": "train"}, "not of the type array"),
        ({"needs": [{"jbo": "x"}]}, "no configuration"),
    ],
)
def test_values_that_gitlab_refuses(given: dict[str, Any], why: str) -> None:
    with pytest.raises(RenderError, match=why):
        rendered(**given)


@pytest.mark.parametrize(
    ("head", "why"),
    [
        (HEAD.replace("default: train", "default: 3"), "type"),
        (HEAD.replace("default: train", "default: A"), "pattern"),
        (HEAD.replace("      default: train\n", ""), "required"),
        (HEAD.replace("default: []", "default: []\n      regex: a"), "regex is for strings"),
        (HEAD.replace("regex: ^[a-z:#]+$", "rules: []"), "unknown keys"),
        (HEAD.replace("regex: ^[a-z:#]+$", "options: [tune]"), "options"),
        (f"{HEAD}  component: [name]\n", "head"),
        (HEAD.replace("    needs:", "    name:"), "there twice"),
        ("", "head"),
    ],
)
def test_heads_that_gitlab_refuses(head: str, why: str) -> None:
    with pytest.raises((RenderError, yaml.YAMLError), match=why):
        rendered(head=head)


@pytest.mark.parametrize(
    "body",
    [
        '"$[[ inputs.nmae ]]": {script: [a]}',
        '"$[[ component.version ]]": {script: [a]}',
        '"$[[ inputs.name | expand_vars ]]": {script: [a]}',
        "a: {script: [a], needs: '$[[ inputs.needs ]]'}",
        "a: {script: [a]}\na: {script: [b]}",
        "a: {script: [a], skript: [b]}",
        "a: [",
        "",
    ],
)
def test_bodies_that_gitlab_or_we_refuse(body: str) -> None:
    with pytest.raises(RenderError):
        rendered(body=body, needs=["a"])


def test_text_is_put_in_before_the_yaml_is_read() -> None:
    """A `#` in an unquoted place starts a comment, as it does in GitLab."""
    assert rendered(body="a: {script: [x]}\nb:\n  script: [$[[ inputs.name ]]]", name="y")["b"] == {"script": ["y"]}
    with pytest.raises(RenderError):
        rendered(body="a:\n  script: [ $[[ inputs.name ]] ]", name="y#:")
