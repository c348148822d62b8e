"""Checks of a set-up that the self-test and the doctor have in common, and how both report them."""

from collections.abc import Callable
from dataclasses import dataclass

from mltrail_server.domain.errors import Code, MltrailError, conflict
from mltrail_server.domain.terminal import plain
from mltrail_server.gitlab import probe
from mltrail_server.gitlab.probe import Probe, TokenInfo
from mltrail_server.store.db import failures

OK, WARNING, FAILED, SKIPPED = "ok", "warning", "FAILED", "skipped"

Check = tuple[str, Callable[[], str]]
"""A check's name, and a function that returns what was found, or raises `Skip`, `Doubt` or `MltrailError`."""


@dataclass(frozen=True, slots=True)
class CheckResult:
    name: str
    outcome: str
    detail: str

    def line(self) -> str:
        """Return it as commands print it; what comes from GitLab can't control the terminal."""
        return plain(f"{self.outcome:8}{self.name}: {self.detail}")


class Skip(Exception):  # noqa: N818 - no error: there is nothing to check
    """Says why a check was not made."""


class Doubt(Exception):  # noqa: N818 - no error: it works, but somebody should look at it
    """Says what may become a problem, and what to do about it."""


def attempt(name: str, step: Callable[[], str], url: str = "") -> CheckResult:
    """Make one check; never raises. `url` is the GitLab that it asks, if any: it is named if there is no answer."""
    try:
        return CheckResult(name, OK, step())
    except Skip as reason:
        return CheckResult(name, SKIPPED, str(reason))
    except Doubt as reason:
        return CheckResult(name, WARNING, str(reason))
    except MltrailError as error:
        return CheckResult(name, FAILED, _unreached(error, url) or error.message)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        # An unexpected shape: the field's name helps to find out why, and its value is nobody's business.
        name_of_field = f" {error}" if isinstance(error, KeyError) else ""
        return CheckResult(name, FAILED, f"GitLab's answer has another shape: {type(error).__name__}{name_of_field}")


def _unreached(error: MltrailError, url: str) -> str:
    """Say what did not answer and why: often its URL is wrong, or its certificate is from a private authority.

    The error's own message is for callers, who can only wait. A driver's says what an operator can do about it.
    """
    cause = error.__cause__
    if error.code is not Code.UNAVAILABLE or cause is None:
        return ""
    if not url:
        return f"it can't be used: {failures.words_of(error) or type(cause).__name__}"
    known = type(cause).__name__ in error.message
    return error.message if known else f"{error.message} ({type(cause).__name__}, asking {url})"


def gitlab_version(asked: Probe) -> str:
    version = asked.version()
    numbers = tuple(int(part) for part in version.split("-")[0].split(".")[:2])
    if numbers < probe.OLDEST:
        raise conflict(f"GitLab is {version}, and mltrail needs {probe.OLDEST[0]}.{probe.OLDEST[1]} or newer")
    return version


def bot_token(asked: Probe) -> tuple[TokenInfo, str]:
    """Return what GitLab says about the bot's token, and the line that reports it."""
    token = asked.token()
    if "api" not in token.scopes:
        raise conflict(f"its scopes are {', '.join(token.scopes)}; it needs `api` to write notes")
    line = f"{asked.user_name()}, scopes {', '.join(token.scopes)}, expires {token.expires_at or 'never'}"
    return token, line


def clock(apart: float, most: float, *, consequence: str = "") -> str:
    """Check how many seconds another clock is ahead of this machine's."""
    line = f"it differs from this machine's by {round(apart):+d} s"
    if abs(apart) > most:
        raise Doubt(f"{line}: {consequence}synchronize both by NTP (timedatectl set-ntp true)")
    return line


def issuer(url: str) -> str:
    page = probe.issuer_page(url)
    if str(page["issuer"]).rstrip("/") != url:
        raise conflict(f"the issuer calls itself {page['issuer']}; set MLTRAIL_OIDC_ISSUER to that")
    usable = [key["kid"] for key in page["keys"] if key["kty"] == "RSA"]
    if not usable:
        raise conflict("there is no RSA key, and ID tokens are signed with RS256")
    return f"{page['issuer']} has {len(usable)} RSA keys"
