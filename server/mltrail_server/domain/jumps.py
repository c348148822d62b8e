"""What a search text names directly: a merge request, a pipeline, a run, a commit, or a version of a model."""

import re
from dataclasses import dataclass

_NUMBER = re.compile(r"([!#])([1-9][0-9]{0,17})", re.ASCII)
_HEX = re.compile(r"[0-9a-f]{7,64}", re.ASCII)
_VERSION = re.compile(
    r"(?:models:/)?(?P<model>\S.*?)(?:\s+v?|/|\s*@\s*|:)(?P<version>[0-9]+(?:\.[0-9]+){0,2}(?:[-+][\w.+-]+)?|(?<=@)[\w.-]+)",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class Jump:
    """At most one kind is set, except that hexadecimal digits may begin a run's id or a commit's SHA."""

    merge_request: int | None = None
    pipeline: int | None = None
    digits: str = ""
    version: tuple[str, str] | None = None


def read(text: str) -> Jump:
    """Read `!12`, `#903`, hexadecimal digits, and `churn 1.2.0`, `churn@champion` or `models:/churn/3`."""
    if number := _NUMBER.fullmatch(text):
        value = int(number[2])
        return Jump(merge_request=value) if number[1] == "!" else Jump(pipeline=value)
    if _HEX.fullmatch(text.lower()):
        return Jump(digits=text.lower())
    if version := _VERSION.fullmatch(text):
        return Jump(version=(version["model"], version["version"]))
    return Jump()
