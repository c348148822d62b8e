"""The metric values that the processes of one server share: in prometheus_client's own files, but written faster.

A call on PostgreSQL changes ten of them. For each, prometheus_client asks the system for the process ID, looks up a key
and packs two floats: 20 us of the 125 that a short call takes. Here a value is changed in place, in the memory to which
its file is mapped, and a process opens files of its own when it is forked.
"""

import os
from pathlib import Path
from threading import Lock
from typing import ClassVar

from prometheus_client import values
from prometheus_client.mmap_dict import MmapedDict, mmap_key

from .shared_metrics import FOLDER_VARIABLE

_FLOAT = 8  # bytes


class SharedValue:
    """A value as prometheus_client expects it: see `MultiProcessValue` there."""

    _multiprocess = True
    _lock: ClassVar = Lock()
    _made: ClassVar[list["SharedValue"]] = []
    _files: ClassVar[dict[str, "_File"]] = {}

    def __init__(  # noqa: PLR0917 - as prometheus_client calls it
        self,
        typ: str,
        metric_name: str,
        name: str,
        labelnames: list[str],
        labelvalues: list[str],
        help_text: str,
        multiprocess_mode: str = "",
        **_: object,
    ) -> None:
        self._file = f"{typ}_{multiprocess_mode}" if typ == "gauge" else typ
        self._key = mmap_key(metric_name, name, labelnames, labelvalues, help_text)
        with self._lock:
            self._open()
            self._made.append(self)

    def _open(self) -> None:
        file = self._files.get(self._file)
        if file is None:
            file = self._files[self._file] = _File(self._file)
        self._numbers, self._place = file.place(self._key)

    def inc(self, amount: float) -> None:
        with self._lock:
            self._numbers[self._place] += amount

    def set(self, value: float, timestamp: float | None = None) -> None:
        with self._lock:
            self._numbers[self._place] = value
            self._numbers[self._place + 1] = timestamp or 0.0

    def get(self) -> float:
        return self._numbers[self._place]

    def set_exemplar(self, exemplar: object) -> None:
        """Ignore it, as prometheus_client does when several processes share values."""

    def get_exemplar(self) -> None:
        """Return None, since no exemplar is kept."""

    @classmethod
    def reopen(cls) -> None:
        """Open files of its own for a process that was just forked."""
        cls._lock = Lock()  # another thread may have held it
        cls._files.clear()
        for value in cls._made:
            value._open()  # noqa: SLF001 - the same class


class _File:
    def __init__(self, name: str) -> None:
        path = Path(os.environ[FOLDER_VARIABLE], f"{name}_{os.getpid()}.db")
        self._content = MmapedDict(str(path))  # type: ignore[no-untyped-call] # prometheus_client is only partly typed
        self._map()

    def _map(self) -> None:
        self._mapped = self._content._m  # noqa: SLF001 - prometheus_client offers no other way to its memory
        self._numbers = memoryview(self._mapped).cast("d")

    def place(self, key: str) -> "tuple[memoryview[float], int]":
        """Find or make the place of a value; its timestamp comes right after it."""
        self._content.read_value(key)  # type: ignore[no-untyped-call] # as above
        # A file that has grown is mapped again. The earlier mapping leads to the same memory.
        if self._mapped is not self._content._m:  # noqa: SLF001 - as above
            self._map()
        return self._numbers, self._content._positions[key] // _FLOAT  # noqa: SLF001 - as above


def share_values() -> None:
    """Let the metrics that this process creates from now on share their values, if there is a folder for them."""
    if os.environ.get(FOLDER_VARIABLE) and values.ValueClass is not SharedValue:
        values.ValueClass = SharedValue  # users of prometheus_client under uWSGI replace it, too
        os.register_at_fork(after_in_child=SharedValue.reopen)
