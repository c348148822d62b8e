"""Standard output and standard error, whatever their encoding.

A Windows runner's console has no arrow, and a latin-1 locale has no minus sign: what can't be written is replaced by
ASCII. The reader may close the pipe, and a disk may be full. None of that may stop a command that still has work to do.
"""

import codecs
import os
import sys
from typing import TextIO

from mltrail_ci import errors
from mltrail_ci.redaction import hidden

_READABLE = {
    **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2212", "-"),  # hyphens, dashes and the minus sign
    **dict.fromkeys("\u201c\u201d\u201e\u00ab\u00bb", '"'),
    **dict.fromkeys("\u2018\u2019\u201a", "'"),
    **dict.fromkeys("\u00a0\u2009\u202f", " "),
    **dict.fromkeys("\ufe0f\u200d", ""),  # these join and colour emoji
    **dict.fromkeys("✅✓✔", "[ok]"),
    **dict.fromkeys("❌✗✘", "[failed]"),
    **dict.fromkeys("µμ", "u"),
    "→": "->",
    "←": "<-",
    "⇒": "=>",
    "±": "+/-",
    "\u00d7": "x",
    "…": "...",
    "·": "-",
    "•": "*",
    "⚠": "[!]",
    "≥": ">=",
    "≤": "<=",
    "≠": "!=",
    "≈": "~",
}
_HANDLER = "mltrail-readable"


def prepare() -> None:
    """Make both streams write a readable replacement for characters that their encoding lacks."""
    codecs.register_error(_HANDLER, _replaced)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors=_HANDLER)


def write(text: str, *, end: str = "\n") -> None:
    """Print to standard output, without credentials. Raises `CommandError` if it can't be written."""
    try:
        print(hidden(text), end=end)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise _unwritable(error) from error


def log(text: str) -> None:
    """Print to standard error, without credentials. Errors are ignored, because there is nowhere to report them."""
    if sys.stderr is None:  # closed before we started
        return
    try:
        print(hidden(text), file=sys.stderr, flush=True)
    except OSError:
        _abandon(sys.stderr)


def flush() -> None:
    """Raises like `write`: buffered output may be written only here."""
    if sys.stdout is None:  # closed before we started
        return
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        _abandon(sys.stdout)
        raise
    except OSError as error:
        _abandon(sys.stdout)
        raise _unwritable(error) from error


def shown(text: str) -> str:
    """The text as standard output will show it, which determines the width of columns."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    return text.encode(encoding, _HANDLER).decode(encoding, "replace")


def _unwritable(error: OSError) -> errors.CommandError:
    reason = error.strerror or type(error).__name__
    return errors.CommandError(f"Standard output can't be written: {reason}.", errors.FAILED)


def _abandon(stream: TextIO) -> None:
    """Otherwise Python would report the failed write again when it exits."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    except (OSError, ValueError):
        return


def _replaced(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    readable = (_READABLE.get(one, one) for one in error.object[error.start : error.end])
    return "".join(readable).encode("ascii", "backslashreplace").decode("ascii"), error.end


codecs.register_error(_HANDLER, _replaced)
