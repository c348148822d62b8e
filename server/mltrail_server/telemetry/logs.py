"""Log lines, as text or as JSON, each with the call that it belongs to. docs/reference/logs.md describes them."""

import json
import logging
import os
import re
import sys
import time
from collections.abc import Iterable
from typing import Any, TextIO

from mltrail_server.domain.terminal import plain

from .calls import current
from .secrets_in_logs import Hiding, secrets_of

LEVELS = ("debug", "info", "warning", "error")
_LIBRARIES = ("urllib3", "botocore", "boto3", "s3transfer", "sqlalchemy", "werkzeug", "alembic")
"""Below `warning`, they log headers and statements, with their values."""

_UNSAFE = re.compile("[\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


class TextLines(logging.Formatter):
    """`time level logger: message`, for people."""

    def __init__(self, hide: Hiding) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")
        self._hide = hide

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        record.message = plain(record.message)  # no message can forge a line, or command a terminal
        line = super().formatMessage(record)
        call = current()
        return line if call is None else f"{line} [request {call.request_id}]"

    def formatException(self, ei: Any) -> str:  # noqa: N802, ANN401 - logging's name and its three parts
        # Indented, since an exception's text, too, could look like a line of ours.
        return "\n".join(f"  {plain(line)}" for line in super().formatException(ei).split("\n"))

    def format(self, record: logging.LogRecord) -> str:
        return self._hide(super().format(record))


class JsonLines(logging.Formatter):
    """One JSON object per line, for programs."""

    def __init__(self, hide: Hiding) -> None:
        super().__init__()
        self._hide = hide

    def format(self, record: logging.LogRecord) -> str:
        whole = int(record.created)
        day = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole))
        line: dict[str, Any] = {
            "time": f"{day}.{int((record.created - whole) * 1000):03}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": self._hide(record.getMessage()),
        }
        call = current()
        if call is not None:
            line["request_id"] = call.request_id
            if call.trace_id:
                line["trace_id"] = call.trace_id
            if call.project_id is not None:
                line["project_id"] = call.project_id
        fields: dict[str, Any] = getattr(record, "fields", {})
        line |= {name: self._hide(value) if isinstance(value, str) else value for name, value in fields.items()}
        if record.exc_info and record.exc_info[0] is not None:
            line["exception"] = self._hide(self.formatException(record.exc_info))
        # JSON itself allows some characters that terminals obey, that end a line for some programs, or that are none.
        return _UNSAFE.sub(_escaped, json.dumps(line, ensure_ascii=False, default=str))


def _escaped(found: re.Match[str]) -> str:
    return f"\\u{ord(found[0]):04x}"


class _Stderr(logging.StreamHandler[TextIO]):
    """Writes to whatever `sys.stderr` is at the time."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:  # type: ignore[override] # StreamHandler has an attribute
        return sys.stderr


_HANDLER = _Stderr()


def configure(*, layout: str = "text", level: str = "warning", secrets: Iterable[str] = ()) -> None:
    """Log to stderr, from now on and in every process that is forked. `secrets` never appear."""
    hide = Hiding([*secrets, *secrets_of(os.environ)])
    _HANDLER.setFormatter(JsonLines(hide) if layout == "json" else TextLines(hide))
    root = logging.getLogger()
    if _HANDLER not in root.handlers:
        root.addHandler(_HANDLER)
    number = logging.getLevelNamesMapping()[level.upper()]
    root.setLevel(number)
    for name in _LIBRARIES:
        logging.getLogger(name).setLevel(max(number, logging.WARNING))


def granian_config() -> dict[str, Any]:
    """Configure granian's loggers (its `log_dictconfig`): their lines look like all others."""
    passed_on = {"handlers": [], "propagate": True}
    return {
        "loggers": {"_granian": dict(passed_on), "granian.access": dict(passed_on)},
        "handlers": {},
        "formatters": {},
    }
