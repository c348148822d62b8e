"""Translate python-gitlab's errors into ours."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import requests

from mltrail_server.domain.errors import (
    Code,
    MltrailError,
    conflict,
    forbidden,
    not_found,
    unauthenticated,
    unavailable,
)

from .connections import ForeignRedirectError, RateLimitedError, library_error

if TYPE_CHECKING:
    from gitlab.exceptions import GitlabError

_log = logging.getLogger(__name__)

_BOT = (
    "GitLab does not know the token of mltrail's bot: it is wrong, expired or revoked. The operator can set a new one "
    "as MLTRAIL_GITLAB_TOKEN."
)
_MOST_QUOTED = 200
_DOWN = "GitLab is not responding; try again in a moment."
_SHADOW = (
    "In a CI job, look for a project or group variable with the same name as the ID token: it silently replaces it."
)


@contextmanager
def translating_errors(what: str, *, bot: bool = False) -> Iterator[None]:
    """Translate errors of calls in the block into `MltrailError`; `what` names the requested object.

    If GitLab refuses the bot's token, that is for the operator to solve, and not the caller's fault.
    """
    try:
        yield
    except library_error() as error:
        if bot and error.response_code == 401:
            raise unavailable(_BOT, retry_after=60) from error
        if bot and error.response_code in (400, 409, 422):
            raise conflict(f"GitLab does not accept the {what}: {_one_line(error.error_message)}") from error
        raise (_of_bot if bot else _of_user)(error, what) from error
    except RateLimitedError as error:
        raise MltrailError(
            Code.UNAVAILABLE,
            f"GitLab's rate limit is reached; try again in {_in_words(error.retry_after)}.",
            retry_after=error.retry_after,
        ) from error
    except ForeignRedirectError as error:
        _log.warning("GitLab's redirect is not followed: %s", error)
        raise unavailable(
            "GitLab redirects mltrail to another host, which it does not follow. The operator must set "
            "MLTRAIL_GITLAB_URL to GitLab's current address."
        ) from error
    except requests.RequestException as error:
        raise unavailable(_DOWN) from error


def _of_bot(error: "GitlabError", what: str) -> MltrailError:
    """The caller can't fix the bot's token, and must not mistake it for their own."""
    if error.response_code == 404:
        return not_found(f"GitLab has no such {what}, or does not show it to mltrail's bot.")
    if error.response_code == 403:
        return forbidden(
            f"GitLab denies mltrail's bot access to the {what}. A scope or role may be "
            "missing: `mltrail doctor` says which."
        )
    return _of_user(error, what)


def _of_user(error: "GitlabError", what: str) -> MltrailError:
    status = error.response_code
    if status == 404:
        return not_found(f"GitLab has no such {what}, or does not show it to this token.")
    if status == 401:
        return unauthenticated(
            f"GitLab does not know this token: it is wrong, expired or revoked. Create a new one. {_SHADOW}"
        )
    if status == 403 and "blocked" in str(error.error_message).lower():
        return forbidden("GitLab has blocked the owner of this token. An administrator of GitLab can undo that.")
    if status == 403:
        return forbidden(f"GitLab denies this token access to the {what}. A scope or role may be missing.")
    return unavailable(_DOWN)


def _one_line(message: object) -> str:
    return " ".join(str(message).split())[:_MOST_QUOTED]


def _in_words(seconds: int) -> str:
    return "a minute" if seconds == 60 else f"{seconds} seconds"
