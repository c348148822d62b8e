"""Keep the server's processes small: share what was loaded before a fork, and give back what large answers took.

Python frees what an answer of 11 MB took, but glibc keeps 17 MB of it, in holes between what is still in use. Only
`malloc_trim` gives these back, and it walks all of the free memory. So a thread looks once a second how large the
process is, which costs 20 µs, and trims only after it has grown.
"""

import ctypes
import gc
import resource
import threading
from pathlib import Path

_COLLECT_AFTER = 20_000
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
"""https://man7.org/linux/man-pages/man3/mallopt.3.html"""
_LIBC = ctypes.CDLL(None)
_STATM = Path("/proc/self/statm")
"""https://man7.org/linux/man-pages/man5/proc_pid_statm.5.html"""

GROWTH = 4_000_000
"""How many bytes a process may grow before it is trimmed again: a trim of 50 MB takes some milliseconds."""
_LOOK_SECONDS = 1.0


def keep_small() -> None:
    """Reduce the memory of this process and of those that it forks, once the application has been created."""
    # Collecting what exists now would write to pages that all processes share, and find nothing. And a response of a
    # hundred thousand small objects, none of them in a cycle, is not worth dozens of collections.
    gc.freeze()
    gc.set_threshold(_COLLECT_AFTER, 20, 20)
    gc.enable()
    # glibc gives each thread its own heap, and keeps the memory of a large response.
    for parameter, value in ((_M_ARENA_MAX, 2), (_M_MMAP_THRESHOLD, 1 << 17), (_M_TRIM_THRESHOLD, 1 << 17)):
        if hasattr(_LIBC, "mallopt"):  # not in musl
            _LIBC.mallopt(parameter, value)


class Trimmer:
    """Gives memory back whenever this process has grown."""

    def __init__(self) -> None:
        self._kept = own_bytes()

    def look(self) -> bool:
        """Trim if the process has grown by `GROWTH` since the last time; return whether it had."""
        size = own_bytes()
        if size < self._kept + GROWTH:
            self._kept = min(size, self._kept)
            return False
        gc.collect()  # of what was made since `keep_small`: it does not touch what processes share
        _LIBC.malloc_trim(0)
        self._kept = own_bytes()
        return True


def trim_when_grown() -> None:
    """Look after this process's memory from now on, in a thread; call it after a fork."""
    if not (hasattr(_LIBC, "malloc_trim") and _STATM.exists()):
        return  # musl gives memory back by itself, and other systems are for development
    trimmer = Trimmer()
    pause = threading.Event()

    def watch() -> None:
        while not pause.wait(_LOOK_SECONDS):
            trimmer.look()

    threading.Thread(target=watch, name="memory", daemon=True).start()


def own_bytes() -> int:
    """Measure what this process has in memory apart from files: 0 where the system does not say."""
    try:
        _size, resident, of_files, *_ = _STATM.read_text().split()
    except FileNotFoundError:
        return 0
    return (int(resident) - int(of_files)) * resource.getpagesize()
