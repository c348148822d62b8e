"""python-gitlab's errors, told as ours."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import gitlab.exceptions
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

from .session import ForeignRedirectError, RateLimitedError

_log = logging.getLogger(__name__)

_BOT = (
    "GitLab does not know the token of mltrail's bot: it is wrong, expired or revoked. The operator sets a new one as "
    "MLTRAIL_GITLAB_TOKEN."
)
_MOST_TOLD = 200
_DOWN = "GitLab does not answer just now; try again in a moment."
_SHADOW = (
    "In a CI job, look for a project or group variable with the same name as the ID token: it silently takes its place."
)


@contextmanager
def telling(what: str, *, bot: bool = False) -> Iterator[None]:
    """Turn errors of calls in the block into `MltrailError`; `what` names the thing that was asked for.

    With the bot's token a refusal is the operator's business, and not the fault of who asks us.
    """
    try:
        yield
    except gitlab.exceptions.GitlabError as error:
        if bot and error.response_code == 401:
            raise unavailable(_BOT, retry_after=60) from error
        if bot and error.response_code in (400, 409, 422):
            raise conflict(f"GitLab does not take the {what}: {_one_line(error.error_message)}") from error
        raise (_told_of_bot if bot else _told)(error, what) from error
    except RateLimitedError as error:
        raise MltrailError(
            Code.UNAVAILABLE,
            f"GitLab asks for fewer calls; try again in {_in_words(error.retry_after)}.",
            retry_after=error.retry_after,
        ) from error
    except ForeignRedirectError as error:
        _log.warning("GitLab's answer is not followed: %s", error)
        raise unavailable(
            "GitLab sends mltrail to another host, where it does not follow. The operator sets MLTRAIL_GITLAB_URL to "
            "the address that GitLab has now."
        ) from error
    except requests.RequestException as error:
        raise unavailable(_DOWN) from error


def _told_of_bot(error: gitlab.exceptions.GitlabError, what: str) -> MltrailError:
    """Whoever asks us can't mend the bot's token, and must not take it for their own."""
    if error.response_code == 404:
        return not_found(f"GitLab knows no {what}, or does not show it to mltrail's bot.")
    if error.response_code == 403:
        return forbidden(
            f"GitLab refuses mltrail's bot the {what}. It may lack a scope or a role: `mltrail doctor` says which."
        )
    return _told(error, what)


def _told(error: gitlab.exceptions.GitlabError, what: str) -> MltrailError:
    status = error.response_code
    if status == 404:
        return not_found(f"GitLab knows no {what}, or does not show it to this token.")
    if status == 401:
        return unauthenticated(
            f"GitLab does not know this token: it is wrong, expired or revoked. Make a new one. {_SHADOW}"
        )
    if status == 403 and "blocked" in str(error.error_message).lower():
        return forbidden("GitLab has blocked the owner of this token. An administrator of GitLab can undo that.")
    if status == 403:
        return forbidden(f"GitLab refuses this token the {what}. It may lack a scope or a role.")
    return unavailable(_DOWN)


def _one_line(message: object) -> str:
    return " ".join(str(message).split())[:_MOST_TOLD]


def _in_words(seconds: int) -> str:
    return "a minute" if seconds == 60 else f"{seconds} seconds"
