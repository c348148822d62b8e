"""python-gitlab's errors, told as ours."""

from collections.abc import Iterator
from contextlib import contextmanager

import gitlab.exceptions
import requests

from mltrail_server.domain.errors import Code, MltrailError, forbidden, not_found, unauthenticated, unavailable

_BOT = (
    "GitLab does not know the token of mltrail's bot: it is wrong, expired or revoked. The operator sets a new one as "
    "MLTRAIL_GITLAB_TOKEN."
)
_DOWN = "GitLab does not answer just now; try again in a moment."


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
        raise _told(error, what) from error
    except requests.RequestException as error:
        raise unavailable(_DOWN) from error


def _told(error: gitlab.exceptions.GitlabError, what: str) -> MltrailError:
    status = error.response_code
    if status == 404:
        return not_found(f"GitLab knows no {what}, or does not show it to this token.")
    if status == 401:
        return unauthenticated("GitLab does not know this token: it is wrong, expired or revoked. Make a new one.")
    if status == 403:
        return forbidden(f"GitLab refuses this token the {what}. It may lack a scope or a role.")
    if status == 429:
        return MltrailError(Code.UNAVAILABLE, "GitLab asks for fewer calls; try again in a minute.", retry_after=60)
    return unavailable(_DOWN)
