"""What can go wrong, in one place.

Every layer raises `MltrailError`; each edge has one handler that maps the code to its own answer. The message is for
the person who reads the client's output: it says what is wrong and what to do. Internal details never stand in it.
"""

from enum import Enum, auto


class Code(Enum):
    INVALID = auto()  # the request can't be understood or breaks a rule
    NOT_FOUND = auto()  # it does not exist, or the caller may not know that it does
    ALREADY_EXISTS = auto()  # the name is taken
    CONFLICT = auto()  # the state of the thing does not allow it
    UNAUTHENTICATED = auto()  # we don't know who is asking
    FORBIDDEN = auto()  # we know, and they may not
    LIMIT = auto()  # a rate is used up; try again later
    QUOTA = auto()  # a project is full; trying again does not help
    UNAVAILABLE = auto()  # something that we depend on does not answer; try again
    NOT_IMPLEMENTED = auto()  # this store or server can't do it; the client has another way
    NO_ENDPOINT = auto()  # no such URL
    NO_METHOD = auto()  # the URL exists, but not for this method
    TOO_LARGE = auto()  # the body is larger than allowed
    SLOW = auto()  # the body did not come in time
    INTERNAL = auto()  # our own fault


class MltrailError(Exception):
    """An error that a user may see.

    `retry_after` is in seconds and only for LIMIT and UNAVAILABLE.
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
