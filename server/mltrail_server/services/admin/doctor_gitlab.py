"""The doctor's checks of GitLab that need no project; `selftest` does the rest."""

import ssl
import time
from collections.abc import Iterator
from datetime import UTC, datetime

from mltrail_server.domain.clock import Clock
from mltrail_server.domain.errors import conflict
from mltrail_server.gitlab import certificates, probe
from mltrail_server.gitlab.connections import Connections
from mltrail_server.gitlab.probe import Probe
from mltrail_server.settings import Settings

from . import checks
from .checks import Check, Doubt, Skip

_SOON_DAYS = 14
_CLOCK_SECONDS = 10.0
_DAY = 86_400
_EXPIRED = 10  # X509_V_ERR_CERT_HAS_EXPIRED


class GitLabChecks:
    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._connections = Connections(settings.gitlab_url, clock)

    def all(self) -> Iterator[Check]:
        yield "GitLab's clock", self._gitlabs_clock
        yield "GitLab's certificate", lambda: certificate(self._settings.gitlab_url, self._clock)
        tokens = {"": self._settings.gitlab_token, **self._settings.bot_tokens}
        asked = [Probe(self._connections, token) for token in tokens.values() if token]
        if asked:
            yield "GitLab's version", lambda: checks.gitlab_version(asked[0])
        for group, token in tokens.items():
            name = f"token of the bot for {group}" if group else "bot's token"
            yield name, lambda token=token: self._token(token)  # type: ignore[misc] # bound now
        yield "issuer and keys", lambda: checks.issuer(self._settings.issuer)

    def _gitlabs_clock(self) -> str:
        apart = probe.clock_of(self._settings.issuer) - time.time()
        return checks.clock(apart, _CLOCK_SECONDS, consequence="ID tokens look expired or not yet valid; ")

    def _token(self, token: str) -> str:
        if not token:
            raise Doubt("MLTRAIL_GITLAB_TOKEN is not set: no comments are written and no jobs are looked up")
        info, line = checks.bot_token(Probe(self._connections, token))
        if (ends := info.ends) is not None:
            days = (ends - self._clock() / 1000) / _DAY
            if days < _SOON_DAYS:
                raise Doubt(f"{line}, in {days:.0f} days: rotate it in GitLab, set the new one, and restart the server")
        return line


def certificate(url: str, clock: Clock) -> str:
    """Check how much longer the certificate of a URL is valid."""
    try:
        ends = certificates.expires(url)
    except ssl.SSLCertVerificationError as error:
        if error.verify_code == _EXPIRED:
            raise conflict(f"the certificate of {url} has expired: renew it") from error
        raise Doubt(f"the certificate of {url} is not valid here: {error.verify_message}") from error
    except OSError as error:
        raise Doubt(f"{url} can't be reached from here: {error}") from error
    if ends is None:
        raise Skip(f"{url} does not use TLS")
    days = (ends - clock() / 1000) / _DAY
    day = datetime.fromtimestamp(ends, UTC).date()
    if days < _SOON_DAYS:
        raise Doubt(f"it expires on {day}, in {days:.0f} days: renew it")
    return f"it expires on {day}"
