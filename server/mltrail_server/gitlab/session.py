"""Connections to GitLab: one python-gitlab object a thread and token, time-outs always set."""

import threading
from typing import Any

import gitlab

TIMEOUT_SECONDS = 10.0

NO_WAITING: dict[str, Any] = {"obey_rate_limit": False}
"""For every call: python-gitlab would sleep through a rate limit, and a web request must not."""


class Sessions:
    """Gives out python-gitlab objects.

    Nothing is sent again blindly (python-gitlab would repeat POSTs too, and make two notes of one), and a rate limit is
    told instead of slept through: the worker comes back by itself, a web request should not wait.
    """

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self._local = threading.local()

    def bot(self, token: str) -> gitlab.Gitlab:
        """Answer this thread's connection for the bot's token, which is kept open."""
        made: dict[str, gitlab.Gitlab] = self._local.__dict__.setdefault("bots", {})
        if token not in made:
            made[token] = self.of(token)
        return made[token]

    def of(self, token: str) -> gitlab.Gitlab:
        """Make a connection that bears `token`. Close it with `with`."""
        return gitlab.Gitlab(
            self.url,
            oauth_token=token,
            timeout=TIMEOUT_SECONDS,
            retry_transient_errors=False,
            keep_base_url=True,
            user_agent="mltrail",
        )
