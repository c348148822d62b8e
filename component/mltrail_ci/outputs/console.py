"""Standard output and standard error, whatever they can hold.

A Windows runner's console knows no arrow, and a latin-1 locale no minus sign: what can't be written is spelled in
ASCII. Whoever reads may leave, and a disk may be full. None of that may end a command that has work to do.
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
    **dict.fromkeys("\ufe0f\u200d", ""),  # what joins and colours emoji
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
    """Have both streams write what their encoding can't hold in a way that can be read."""
    codecs.register_error(_HANDLER, _replaced)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors=_HANDLER)


def tell(text: str, *, end: str = "\n") -> None:
    """Print to standard output, without credentials. Raises `CommandError` where it can't be written."""
    try:
        print(hidden(text), end=end)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise _unwritable(error) from error


def complain(text: str) -> None:
    """Print to standard error, without credentials. Nobody may read there; then there is nothing to be done."""
    if sys.stderr is None:  # closed before we came
        return
    try:
        print(hidden(text), file=sys.stderr, flush=True)
    except OSError:
        _abandon(sys.stderr)


def flush() -> None:
    """Raises as `tell` does: what is printed is written here at the latest."""
    if sys.stdout is None:  # closed before we came
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
    """The text as standard output will show it: for columns, whose width depends on it."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    return text.encode(encoding, _HANDLER).decode(encoding, "replace")


def _unwritable(error: OSError) -> errors.CommandError:
    reason = error.strerror or type(error).__name__
    return errors.CommandError(f"Standard output can't be written: {reason}.", errors.FAILED)


def _abandon(stream: TextIO) -> None:
    """Python would complain once more at its end of what could not be written."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    except (OSError, ValueError):
        return


def _replaced(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    told = (_READABLE.get(one, one) for one in error.object[error.start : error.end])
    return "".join(told).encode("ascii", "backslashreplace").decode("ascii"), error.end


codecs.register_error(_HANDLER, _replaced)
