"""Whether this server is about to end. All of its processes know, so that `/readyz` says so, whichever answers it."""

import mmap


class Draining:
    """False until `begin` was called, in this process or in one that has forked from the same one."""

    def __init__(self) -> None:
        self._shared = mmap.mmap(-1, 1)  # memory that forked processes share

    def begin(self) -> None:
        self._shared[0] = 1

    def __bool__(self) -> bool:
        return bool(self._shared[0])


DRAINING = Draining()
