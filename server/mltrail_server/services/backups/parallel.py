"""Several things at once: what waits for disks and buckets is not done one by one."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

THREADS = 8
_AHEAD = 4 * THREADS
"""How many are begun before the first result is taken, so that memory does not grow with their number."""


def in_parallel(work: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[tuple[Item, Result]]:
    """Do the work for each item, and return the results as they come. An error ends all of it, and is raised.

    `items` are taken and results are returned by the caller's thread alone.
    """
    with ThreadPoolExecutor(THREADS, thread_name_prefix="backup") as pool:
        running: dict[Future[Result], Item] = {}
        try:
            for item in items:
                running[pool.submit(work, item)] = item
                if len(running) >= _AHEAD:
                    yield from _ended(running)
            while running:
                yield from _ended(running)
        finally:
            for future in running:
                future.cancel()


def _ended(running: dict[Future[Result], Item]) -> Iterator[tuple[Item, Result]]:
    done, _ = wait(running, return_when=FIRST_COMPLETED)
    for future in done:
        item = running.pop(future)
        yield item, future.result()
