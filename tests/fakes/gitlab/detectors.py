"""What GitLab would do on reading a note: run quick actions, mention people, link references.

Code spans, code blocks, link targets and HTML comments are left out, as GitLab leaves them out.

https://docs.gitlab.com/user/project/quick_actions/
"""

import re

_FENCE = re.compile(r"^(`{3,}|~{3,}).*?^\1[`~]*[ \t]*$", re.MULTILINE | re.DOTALL)
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_SPAN = re.compile(r"(?<!`)(`+)(?!`)(.+?)(?<!`)\1(?!`)", re.DOTALL)
_LINK = re.compile(r"\[(?P<text>[^\[\]]*)\]\([^()\s]*\)")
_QUICK_ACTION = re.compile(r"^[ ]{0,3}/(?P<name>[a-z][a-z_]*)\b", re.MULTILINE)
_MENTION = re.compile(r"(?<![\w@])@(?P<name>[A-Za-z0-9_][\w.\-/]*)")
_REFERENCE = re.compile(r"(?<![\w&])(?P<reference>[#!~%$&][0-9]+)\b")


def plain(body: str) -> str:
    """The note without what GitLab takes as code."""
    for pattern in (_FENCE, _COMMENT):
        body = pattern.sub("", body)
    body = _SPAN.sub("", body)
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
