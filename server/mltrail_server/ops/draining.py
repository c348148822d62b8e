"""Whether this server is about to stop. All of its processes know, so `/readyz` says so whichever of them answers."""

import mmap


class Draining:
    """False until `begin` is called, in this process or in one that was forked from the same one."""

    def __init__(self) -> None:
        self._shared = mmap.mmap(-1, 1)  # memory that forked processes share

    def begin(self) -> None:
        self._shared[0] = 1

    def __bool__(self) -> bool:
        return bool(self._shared[0])


DRAINING = Draining()
