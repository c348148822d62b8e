"""From JSON to types: what every answer of the server goes through."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from .errors import server

_T = TypeVar("_T")


def decoded(decode: Callable[[Mapping[str, Any]], _T], answer: Mapping[str, Any]) -> _T:
    """Decode an answer. Raises the error of a server that is none of ours, or of another version."""
    try:
        return decode(answer)
    except (LookupError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise server(
            f"The server's answer is not as expected ({type(error).__name__}: {error}). "
            "Is this `mltrail` of the same version as the server?"
        ) from error


def text(value: object) -> str:
    return "" if value is None else str(value)


def word(value: object) -> str:
    """Text that has to be there. Raises TypeError for anything else."""
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is not a text")
    return value


def maybe(value: object) -> str | None:
    return None if value is None else str(value)


def number(value: float | str | None) -> float | None:
    return None if value is None else float(value)
