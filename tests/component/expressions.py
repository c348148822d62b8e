"""GitLab's expressions, as in `rules:if`: https://docs.gitlab.com/ci/jobs/job_rules/#cicd-variable-expressions."""

import re
from collections.abc import Mapping

_TOKEN = re.compile(
    r"\s*(?:(?P<variable>\$\w+|\$\{\w+\})|(?P<text>\"[^\"]*\"|'[^']*')|(?P<pattern>/(?:\\.|[^/\\])+/[ims]*)"
    r"|(?P<operator>==|!=|=~|!~|&&|\|\||\(|\))|(?P<null>null\b))"
)

Value = str | bool | None


class ExpressionError(Exception):
    """GitLab would call it an invalid expression syntax."""


def holds(expression: str, variables: Mapping[str, str]) -> bool:
    """Whether an expression is true. Raises `ExpressionError`."""
    tokens = _tokens(expression)
    parser = _Parser(tokens, variables)
    value = parser.either()
    if parser.left():
        raise ExpressionError(f"invalid expression syntax: {expression}")
    return bool(value)


def _tokens(expression: str) -> list[tuple[str, str]]:
    found, at = [], 0
    while expression[at:].strip():
        match = _TOKEN.match(expression, at)
        if match is None:
            raise ExpressionError(f"invalid expression syntax: {expression}")
        kind = str(match.lastgroup)
        found.append((kind, match[kind]))
        at = match.end()
    return found


class _Parser:
    """`&&` binds closer than `||`, and comparisons closer than both."""

    def __init__(self, tokens: list[tuple[str, str]], variables: Mapping[str, str]) -> None:
        self._tokens = tokens
        self._variables = variables

    def left(self) -> bool:
        return bool(self._tokens)

    def either(self) -> Value:
        value = self.both()
        while self._takes("||"):
            other = self.both()
            value = value or other
        return value

    def both(self) -> Value:
        value = self.compared()
        while self._takes("&&"):
            other = self.compared()
            value = value and other
        return value

    def compared(self) -> Value:
        value = self._one()
        if self._takes("=="):
            return value == self._one()
        if self._takes("!="):
            return value != self._one()
        if self._takes("=~"):
            return self._matches(value)
        if self._takes("!~"):
            return not self._matches(value)
        return value

    def _matches(self, value: Value) -> bool:
        pattern = self._one()
        found = re.fullmatch(r"/(?P<body>.*)/(?P<flags>[ims]*)", str(pattern), re.DOTALL)
        if found is None:
            raise ExpressionError(f"{pattern} is no pattern")
        flags = sum((re.RegexFlag[letter.upper()] for letter in found["flags"]), re.RegexFlag(0))
        return isinstance(value, str) and re.search(found["body"], value, flags) is not None

    def _one(self) -> Value:
        if self._takes("("):
            value = self.either()
            if not self._takes(")"):
                raise ExpressionError("a bracket is open")
            return value
        kind, text = self._tokens.pop(0) if self._tokens else ("", "")
        if kind == "variable":
            return self._variables.get(text.strip("${}"))
        if kind == "text":
            return text[1:-1]
        if kind == "pattern":
            return text
        if kind == "null":
            return None
        raise ExpressionError(f"{text or 'the end'} is not expected here")

    def _takes(self, operator: str) -> bool:
        taken = self._tokens[:1] == [("operator", operator)]
        if taken:
            del self._tokens[0]
        return taken
