"""When bots' tokens and TLS certificates expire, looked up about once an hour: without them, the service stops."""

import logging
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mltrail_server.domain.errors import Code, MltrailError
from mltrail_server.later import later
from mltrail_server.services.context.deps import Deps
from mltrail_server.settings import Settings

if TYPE_CHECKING:
    from mltrail_server.gitlab import certificates, connections, probe
else:
    certificates, connections, probe = later("mltrail_server.gitlab", "certificates", "connections", "probe")

_log = logging.getLogger(__name__)
_MAX_AGE_MS = 60 * 60_000


@dataclass(frozen=True, slots=True)
class Expiry:
    """Times are in seconds since 1970; None if nothing expires, or if it is not known. `bots_valid` is 1 or 0."""

    bots_valid: int | None = None
    first_bot_ends: float | None = None
    certificates: Mapping[str, float] = field(default_factory=dict)


class ExpiryReader:
    """Asks in a thread of its own, so that no scrape waits for GitLab."""

    def __init__(self, deps: Deps) -> None:
        self._deps = deps
        self._known = Expiry()
        self._stale_at = 0
        self._asking = threading.Lock()

    def read(self) -> Expiry:
        """Return what is known; ask again if that is old."""
        now = self._deps.clock()
        if now >= self._stale_at and self._asking.acquire(blocking=False):
            self._stale_at = now + _MAX_AGE_MS
            threading.Thread(target=self._ask, name="expiry", daemon=True).start()
        return self._known

    def _ask(self) -> None:
        try:
            self._known = read(self._deps.settings)
        except Exception:  # noqa: BLE001 - the next hour tries it again
            _log.warning("when tokens and certificates expire could not be found out", exc_info=True)
        finally:
            self._asking.release()


def read(settings: Settings) -> Expiry:
    """Ask GitLab about the bots' tokens, and the hosts of the URLs for their certificates."""
    found: dict[str, float] = {}
    for name, url in (("external_url", settings.external_url), ("gitlab_url", settings.gitlab_url)):
        with suppress(OSError):  # this machine may not be able to reach its own external URL
            if (ends := certificates.expires(url)) is not None:
                found[name] = ends
    if settings.local_mode:
        return Expiry(certificates=found)
    valid, ends_first = _bots(settings)
    return Expiry(valid, ends_first, found)


def _bots(settings: Settings) -> tuple[int | None, float | None]:
    """Return whether all tokens are valid, and when the first one expires."""
    tokens = {settings.gitlab_token, *settings.bot_tokens.values()} - {""}
    sessions = connections.Connections(settings.gitlab_url)
    valid, ends = None, []
    for token in sorted(tokens):
        try:
            info = probe.Probe(sessions, token).token()
        except MltrailError as error:
            if error.code is Code.UNAVAILABLE and getattr(error.__cause__, "response_code", None) != 401:
                continue  # GitLab is down, which other metrics tell
            valid = 0
            continue
        valid = (1 if valid is None else valid) if info.active else 0
        if info.ends is not None:
            ends.append(info.ends)
    return valid, min(ends, default=None)
