"""A few threads that fetch what comes next, so that an import does not spend its time waiting for a network."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class Workers:
    """Runs calls in threads. `ahead` limits how many results can be waiting or in work."""

    def __init__(self, threads: int = 4, ahead: int = 8) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="source")
        self._ahead = ahead

    def each(self, call: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[tuple[Item, Result]]:
        """Call with each item; return the results in the items' order. What a call raises is raised in its turn."""
        coming = iter(items)
        waiting: deque[tuple[Item, Future[Result]]] = deque()
        try:
            while True:
                for item in islice(coming, self._ahead - len(waiting)):
                    waiting.append((item, self._pool.submit(call, item)))
                if not waiting:
                    return
                item, result = waiting.popleft()
                yield item, result.result()
        finally:
            for _, unneeded in waiting:
                unneeded.cancel()

    def start(self, call: Callable[[], Result]) -> Future[Result]:
        """Call at some time from now on."""
        return self._pool.submit(call)

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)
