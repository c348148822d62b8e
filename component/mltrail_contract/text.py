"""Decode a contract file. Anything but UTF-8 is an error: a guess might change what a rule says."""

import codecs

from .problems import ContractError, Problem

MOST_CHARACTERS = 262_144
MOST_BYTES = 4 * MOST_CHARACTERS + 4
"""A file with this many bytes has too many characters, whichever they are."""

_OTHERS = (
    (codecs.BOM_UTF32_LE, "UTF-32"),  # before UTF-16, because it begins with UTF-16's mark
    (codecs.BOM_UTF32_BE, "UTF-32"),
    (codecs.BOM_UTF16_LE, "UTF-16"),
    (codecs.BOM_UTF16_BE, "UTF-16"),
)
_SAVE = "save the file as UTF-8"


def decoded(content: bytes) -> str:
    """Decode a file, with or without UTF-8's byte order mark. Raises `ContractError` if it is not UTF-8."""
    if len(content) >= MOST_BYTES:
        raise ContractError([Problem(1, 1, "", f"longer than {MOST_CHARACTERS} characters")])
    for mark, name in _OTHERS:
        if content.startswith(mark):
            raise ContractError([Problem(1, 1, "", f"this is {name}, not UTF-8: {_SAVE}")])
    if b"\0" in content:
        problem = f"contains NUL bytes, as UTF-16 and binary files do: {_SAVE}"
        raise ContractError([_at(content, content.index(b"\0"), problem)])
    try:
        return content.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        problem = f"not UTF-8 (byte 0x{content[error.start]:02x}): {_SAVE}"
        raise ContractError([_at(content, error.start, problem)]) from error


def _at(content: bytes, place: int, message: str) -> Problem:
    before = content[:place]
    return Problem(before.count(b"\n") + 1, place - before.rfind(b"\n"), "", message)
