"""The blocks of code in the docs, and the commands of those that are a shell's."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

from tests.places import ROOT

# Written by our own programs, whose tests compare them: comments, and their charts.
_WRITTEN = {"gallery"}
_BLOCK = re.compile(r"^(?P<indent> *)```(?P<language>[^\n`]*)\n(?P<text>.*?)^(?P=indent)```$", re.DOTALL | re.MULTILINE)
_HEREDOC = re.compile(r"<<-?\s*(['\"]?)(\w+)\1([^\n]*)\n.*?\n\s*\2(?=\n|$)", re.DOTALL)
_COMMENT = re.compile(r"(^|(?<=\s))#(?=\s|[A-Za-z…]).*$", re.MULTILINE)
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*\+?=")
# Words before a command, which say how to run it.
_BEFORE = {
    "!",
    "(",
    "command",
    "do",
    "else",
    "env",
    "exec",
    "if",
    "nohup",
    "sudo",
    "then",
    "time",
    "until",
    "while",
    "{",
}
_WITH_VALUE = {"sudo": {"-u", "-g", "--user", "--group"}, "env": {"-u", "-C", "-S"}}


@dataclass(frozen=True)
class Block:
    page: str
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def pages() -> list[Path]:
    found = [
        *ROOT.glob("*.md"),
        *(ROOT / "docs").rglob("*.md"),
        *ROOT.glob("examples/*/*.md"),
        *ROOT.glob("deploy/**/*.md"),
    ]
    return sorted(page for page in found if page.parent.name not in _WRITTEN)


def blocks() -> Iterator[Block]:
    for page in pages():
        text = page.read_text()
        for found in _BLOCK.finditer(text):
            line = text.count("\n", 0, found.start()) + 1
            yield Block(str(page.relative_to(ROOT)), line, found["language"].strip(), dedent(found["text"]))


def script(block: Block) -> str:
    """The shell's part of a block: of a console's, what stands behind the prompt."""
    if block.language != "console":
        return block.text
    typed = re.findall(r"^[$#] (.*(?:\\\n.*)*)$", block.text, re.MULTILINE)
    return "\n".join(typed) + "\n"


def commands(script: str) -> Iterator[list[str]]:
    """Each command with its arguments, without what stands before it: assignments, `sudo`, keywords.

    Raises `ValueError` for a quote that is not closed.
    """
    text = _HEREDOC.sub(r"<\2\3", script.replace("\\\n", " "))
    text = _COMMENT.sub("", text)
    lexer = shlex.shlex(text, posix=True, punctuation_chars="();<>|&\n")
    lexer.whitespace, lexer.whitespace_split, lexer.commenters = " \t\r", True, ""
    command: list[str] = []
    redirected = False
    for token in [*lexer, "\n"]:
        if token and set(token) <= set("<>&") and token not in {"&", "&&"}:
            redirected = True
            if command and command[-1].isdigit():
                command.pop()
        elif token and set(token) <= set("();|&\n"):
            yield from _without_prefix(command)
            command, redirected = [], False
        elif redirected:
            redirected = False
        else:
            command.append(token)


def _without_prefix(command: list[str]) -> Iterator[list[str]]:
    rest = [*command]
    before = ""
    while rest:
        word = rest[0]
        if word in _BEFORE:
            before = word
        elif before and word.startswith("-"):
            if word in _WITH_VALUE.get(before, ()):
                rest.pop(0)
        elif not _ASSIGNMENT.match(word):
            break
        rest.pop(0)
    if rest:
        yield rest


def spans() -> Iterator[Block]:
    """What stands in a line of text as code and begins with one of our commands."""
    for page in pages():
        text = _BLOCK.sub(lambda found: "\n" * found[0].count("\n"), page.read_text())
        for found in re.finditer(r"`(mltrail(?:-server)? [a-z-][^`]*)`", text):
            line = text.count("\n", 0, found.start()) + 1
            yield Block(str(page.relative_to(ROOT)), line, "span", found[1].replace("\n", " "))
