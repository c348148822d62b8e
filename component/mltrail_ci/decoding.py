"""From JSON to types: every response of the server is decoded here."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from .errors import server

_T = TypeVar("_T")


def decoded(decode: Callable[[Mapping[str, Any]], _T], response: Mapping[str, Any]) -> _T:
    """Decode a response. Raises `CommandError` if it is not from an mltrail server, or from one of another version."""
    try:
        return decode(response)
    except (LookupError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise server(
            f"The server's response is not as expected ({type(error).__name__}: {error}). "
            "Do this `mltrail` and the server have the same version?"
        ) from error


def text(value: object) -> str:
    return "" if value is None else str(value)


def word(value: object) -> str:
    """Required text. Raises TypeError for anything else."""
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is not text")
    return value


def maybe(value: object) -> str | None:
    return None if value is None else str(value)


def number(value: float | str | None) -> float | None:
    return None if value is None else float(value)
