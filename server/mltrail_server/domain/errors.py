"""What can go wrong, in one place.

Every layer raises `MltrailError`; each edge has one handler that maps the code to its own response. The message is for
the person who reads the client's output: it says what is wrong and what to do, and never contains internal details.
"""

from enum import Enum, auto


class Code(Enum):
    INVALID = auto()  # the request can't be understood or breaks a rule
    NOT_FOUND = auto()  # it does not exist, or the caller is not allowed to know that it does
    ALREADY_EXISTS = auto()  # the name is taken
    CONFLICT = auto()  # the current state does not allow it
    UNAUTHENTICATED = auto()  # we don't know who the caller is
    FORBIDDEN = auto()  # we know, and they are not allowed to do it
    LIMIT = auto()  # too many calls; try again later
    QUOTA = auto()  # the project's quota is used up; trying again does not help
    UNAVAILABLE = auto()  # something that we depend on does not respond; try again
    NOT_IMPLEMENTED = auto()  # this server can't do it; the client has another way
    NO_ENDPOINT = auto()  # no such URL
    NO_METHOD = auto()  # the URL exists, but not for this method
    TOO_LARGE = auto()  # the body is larger than allowed
    SLOW = auto()  # the body did not arrive in time
    INTERNAL = auto()  # our own fault


class MltrailError(Exception):
    """An error that a user may see.

    `retry_after` is in seconds, for LIMIT and UNAVAILABLE only.
    """

    def __init__(self, code: Code, message: str, *, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.retry_after = retry_after


def invalid(message: str) -> MltrailError:
    return MltrailError(Code.INVALID, message)


def not_found(message: str) -> MltrailError:
    return MltrailError(Code.NOT_FOUND, message)


def conflict(message: str) -> MltrailError:
    return MltrailError(Code.CONFLICT, message)


def forbidden(message: str) -> MltrailError:
    return MltrailError(Code.FORBIDDEN, message)


def unauthenticated(message: str) -> MltrailError:
    return MltrailError(Code.UNAUTHENTICATED, message)


def unavailable(message: str, *, retry_after: int = 5) -> MltrailError:
    return MltrailError(Code.UNAVAILABLE, message, retry_after=retry_after)
