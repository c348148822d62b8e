"""What GitLab would do on reading a note: run quick actions, mention people, link references.

Code spans, code blocks, link targets and HTML comments are left out, as GitLab leaves them out.

https://docs.gitlab.com/user/project/quick_actions/
"""

import re

# What begins first counts: a comment's beginning in a code span is none.
_LEFT_OUT = re.compile(
    r"(?m:^(?P<fence>`{3,}|~{3,})).*?(?m:^(?P=fence)[`~]*[ \t]*$)"
    r"|<!--.*?-->"
    r"|(?<!`)(?P<span>`+)(?!`)(.+?)(?<!`)(?P=span)(?!`)",
    re.DOTALL,
)
_LINK = re.compile(r"\[(?P<text>[^\[\]]*)\]\([^()\s]*\)")
_QUICK_ACTION = re.compile(r"^[ ]{0,3}/(?P<name>[a-z][a-z_]*)\b", re.MULTILINE)
_MENTION = re.compile(r"(?<![\w@])@(?P<name>[A-Za-z0-9_][\w.\-/]*)")
_REFERENCE = re.compile(r"(?<![\w&])(?P<reference>[#!~%$&][0-9]+)\b")


def plain(body: str) -> str:
    """The note without what GitLab takes as code."""
    body = _LEFT_OUT.sub("", body)
    # The text of a link is read, but a reference inside a link makes no second link.
    return _LINK.sub(lambda match: re.sub(r"[#!]", "", match["text"]), body)


def quick_actions(body: str) -> list[str]:
    return [match["name"] for match in _QUICK_ACTION.finditer(plain(body))]


def only_quick_actions(body: str) -> bool:
    """Such a body makes no note."""
    lines = [line for line in body.splitlines() if line.strip()]
    return bool(lines) and all(_QUICK_ACTION.match(line) for line in lines)


def mentions(body: str) -> list[str]:
    return [match["name"] for match in _MENTION.finditer(plain(body))]


def references(body: str) -> list[str]:
    return [match["reference"] for match in _REFERENCE.finditer(plain(body))]
