"""The call that a thread is working on, which its log lines, spans and slow statements are found by."""

import re
import secrets
from contextvars import ContextVar
from dataclasses import dataclass

_VALID = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)


@dataclass(slots=True)
class CurrentCall:
    """A request, or one look of the worker. `project_id` is known once the caller has been admitted, `route` once the
    URL has been matched.
    """

    request_id: str
    trace_id: str = ""
    project_id: int | None = None
    route: str = ""


_CURRENT: ContextVar[CurrentCall | None] = ContextVar("mltrail_call", default=None)

current = _CURRENT.get
"""Return the call that this thread is working on; None outside of one."""


def begin(sent_id: str = "") -> CurrentCall:
    """Begin a call in this thread. It keeps the ID that a proxy has given it, if valid; else it gets a new one."""
    call = CurrentCall(sent_id if sent_id and _VALID.fullmatch(sent_id) else secrets.token_hex(8))
    _CURRENT.set(call)
    return call


def resume(call: CurrentCall | None) -> None:
    """Work on a call that another thread has begun, or on none."""
    _CURRENT.set(call)


def request_id() -> str:
    """Return the current call's ID; "" outside of one."""
    call = current()
    return call.request_id if call is not None else ""


def route() -> str:
    """Return the route of the current call's URL; "" outside of one, and before the URL has been matched."""
    call = current()
    return call.route if call is not None else ""
