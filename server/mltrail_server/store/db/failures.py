"""The database's errors, in words for the caller."""

import errno
from typing import Any

from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from mltrail_server.domain.errors import MltrailError, conflict, invalid, unavailable
from mltrail_server.domain.reasons import Reason
from mltrail_server.telemetry.secrets_in_logs import Hiding

_NOT_NULL_VIOLATION, _FOREIGN_KEY_VIOLATION, _UNIQUE_VIOLATION = "23502", "23503", "23505"
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS})
_SQLITE_NO_ROOM = (
    "SQLITE_FULL",
    "SQLITE_IOERR_WRITE",
    "SQLITE_IOERR_SHMSIZE",
    "SQLITE_IOERR_TRUNCATE",
    "SQLITE_READONLY",
)
"""https://www.sqlite.org/rescode.html"""
_CANCELLED = "57014"
_POSTGRESQL_NO_ROOM = "53100"
_NO_RIGHT = "42501"
_READ_ONLY = "25006"
_NOT_PREPARED = "26000"
_BY_STATE = {
    _READ_ONLY: "The database accepts no writes just now; another machine may be taking over. This call stored "
    "nothing: try again in a moment.",
    _NO_RIGHT: "The database user lacks a privilege that this needs. Tell whoever runs the server.",
}
_MOST_QUOTED = 400
_LOST = ("08", "57P", _READ_ONLY)
"""SQLSTATE classes after which a connection is of no more use: exceptions of connections, interventions such as a
shutdown, and a primary that has become a standby. https://www.postgresql.org/docs/current/errcodes-appendix.html
"""


def in_words(driver: Any, wrapper: Exception) -> MltrailError | None:  # noqa: ANN401 - sqlite3 or psycopg
    """Translate an error of the database; None for one that is not the database's, or that nobody has foreseen."""
    error: BaseException = getattr(wrapper, "orig", None) or wrapper
    if isinstance(error, (OverflowError, driver.DataError)):
        # PostgreSQL keeps no NUL in a text, and neither database keeps an integer of more than 64 bits.
        return invalid(
            "The request holds a value that can't be stored: a NUL character in a text, or a number out of range."
        )
    if isinstance(error, driver.IntegrityError):
        return _broken_rule(getattr(error, "sqlstate", None))
    if isinstance(wrapper, DBAPIError) and wrapper.connection_invalidated:
        return unavailable("The connection to the database was lost; try again in a moment.")
    return _out_of_order(driver, error)


def _out_of_order(driver: Any, error: BaseException) -> MltrailError | None:  # noqa: ANN401 - as above
    if _is_no_room(error):
        return unavailable(
            "The server can't write: the disk of its database is full or read-only. This call stored nothing. "
            "Tell whoever runs the server.",
            retry_after=30,
        )
    if getattr(error, "sqlstate", None) in _BY_STATE:
        return unavailable(_BY_STATE[getattr(error, "sqlstate", "")])
    if is_stale_plan(error):
        return unavailable("The database's tables have just been changed; try again in a moment.", retry_after=1)
    if is_cancelled(error):
        return unavailable("The database took too long for this call, so it was ended; try again in a moment.")
    if isinstance(error, (driver.OperationalError, OperationalError, PoolTimeoutError)):
        return unavailable("The database does not answer just now; try again in a moment.")
    return None


def is_no_right(error: BaseException) -> bool:
    """Return whether PostgreSQL denies a right, such as one to create tables."""
    return getattr(getattr(error, "orig", None) or error, "sqlstate", None) == _NO_RIGHT


def words_of(error: MltrailError) -> str:
    """Return what the database itself has said, on one line, for whoever runs the server; "" if it said nothing. It may
    name hosts, users and tables.
    """
    cause = getattr(error.__cause__, "orig", None) or error.__cause__
    if cause is None or type(cause).__module__.partition(".")[0] not in ("psycopg", "sqlite3"):
        return ""
    return Hiding()(" ".join(str(cause).split())[:_MOST_QUOTED])


def is_cancelled(error: BaseException) -> bool:
    """Return whether a statement was cancelled."""
    error = getattr(error, "orig", None) or error
    return (
        getattr(error, "sqlite_errorname", "") == "SQLITE_INTERRUPT" or getattr(error, "sqlstate", None) == _CANCELLED
    )


def is_lost(driver: Any, wrapper: Exception) -> bool:  # noqa: ANN401 - psycopg
    """Return whether the connection is of no more use, and with it all that were made before."""
    error: BaseException = getattr(wrapper, "orig", None) or wrapper
    if not isinstance(error, (driver.OperationalError, driver.InternalError)):
        return False
    return error.sqlstate is None or error.sqlstate.startswith(_LOST)


def is_null(error: BaseException) -> bool:
    """Return whether PostgreSQL refuses a row without a value that it must have."""
    return getattr(getattr(error, "orig", None) or error, "sqlstate", None) == _NOT_NULL_VIOLATION


def is_stale_plan(error: BaseException) -> bool:
    """Return whether PostgreSQL refuses a statement that this connection had prepared before a migration changed the
    type of a column, or no longer knows it. It would refuse it for as long as the connection is open.
    """
    error = getattr(error, "orig", None) or error
    if getattr(error, "sqlstate", None) == _NOT_PREPARED:
        return True
    # The message may be in any language, and its code means no more than "not supported".
    return getattr(getattr(error, "diag", None), "source_function", None) == "RevalidateCachedQuery"


def took_too_long(seconds: float) -> MltrailError:
    return invalid(Reason.SEARCH_TOO_SLOW, seconds=seconds)


def _broken_rule(state: str | None) -> MltrailError | None:
    if state == _FOREIGN_KEY_VIOLATION:
        return conflict("Another call has just deleted what this one is about; nothing was stored.")
    # PostgreSQL has many writers: since we looked, another one has stored something that must be unique.
    lost = state == _UNIQUE_VIOLATION
    return unavailable("Another call has just stored the same; try again.", retry_after=1) if lost else None


def _is_no_room(error: BaseException) -> bool:
    if isinstance(error, OSError):
        return error.errno in _NO_ROOM
    name = getattr(error, "sqlite_errorname", "")
    return name.startswith(_SQLITE_NO_ROOM) or getattr(error, "sqlstate", None) == _POSTGRESQL_NO_ROOM
