"""What can go wrong, in one place.

Every layer raises `MltrailError`; each edge has one handler that maps the code to its own response. The message is for
the person who reads it on a page or in a client's output: it says what is wrong and what to do, without internal
details. Where an edge's clients look for other words, the error carries a `Reason`, and the edge has the words.
"""

from collections.abc import Mapping
from enum import Enum, auto

from .reasons import Reason


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

    `why` is a sentence that reads well everywhere, or a `Reason` with its `facts`, which an edge may have its own
    sentence for. `retry_after` is in seconds and only for LIMIT and UNAVAILABLE.
    """

    def __init__(
        self,
        code: Code,
        why: str | Reason,
        *,
        facts: Mapping[str, object] | None = None,
        retry_after: int | None = None,
    ) -> None:
        self.facts = facts or {}
        self.message = why.value.format(**self.facts) if isinstance(why, Reason) else why
        super().__init__(self.message)
        self.code = code
        self.reason = why if isinstance(why, Reason) else None
        self.retry_after = retry_after

    def in_words(self, own: Mapping[Reason, str]) -> str:
        """Say it in an edge's own words where it has some for the reason, else plainly."""
        if self.reason is None or self.reason not in own:
            return self.message
        return own[self.reason].format(**self.facts)


def invalid(why: str | Reason, /, **facts: object) -> MltrailError:
    return MltrailError(Code.INVALID, why, facts=facts)


def not_found(why: str | Reason, /, **facts: object) -> MltrailError:
    return MltrailError(Code.NOT_FOUND, why, facts=facts)


def already_exists(why: str | Reason, /, **facts: object) -> MltrailError:
    return MltrailError(Code.ALREADY_EXISTS, why, facts=facts)


def conflict(message: str) -> MltrailError:
    return MltrailError(Code.CONFLICT, message)


def forbidden(message: str) -> MltrailError:
    return MltrailError(Code.FORBIDDEN, message)


def unauthenticated(why: str | Reason, /, **facts: object) -> MltrailError:
    return MltrailError(Code.UNAUTHENTICATED, why, facts=facts)


def unavailable(message: str, *, retry_after: int = 5) -> MltrailError:
    return MltrailError(Code.UNAVAILABLE, message, retry_after=retry_after)
