"""Remove old backups, and the files that only they needed.

Safe at any moment: a backup's manifest goes first, so that it is not listed any more; then its tables; then every blob
that no other backup needs. Whatever a kill leaves is found by the next one, since it compares all that is there with
all that is needed. The destination's lock keeps backups out meanwhile.
"""

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, field

from mltrail_server.artifacts.destination import Destination

from . import shelf
from .manifest import Manifest
from .parallel import in_parallel


@dataclass(slots=True)
class Pruned:
    """What was removed: backups by name, and files that no other backup needs."""

    backups: list[str] = field(default_factory=list)
    files: int = 0


def keep(destination: Destination, count: int) -> Pruned:
    """Keep only the newest `count` backups. Raises CONFLICT while another process changes the destination, and INVALID
    if a manifest that is kept can't be read, since nobody knows what it needs.
    """
    pruned = Pruned()
    with destination.lock() as lock:
        names = shelf.complete(destination)
        kept = [shelf.read_manifest(destination, name) for name in names[-count:]]
        for name in names[:-count]:
            lock.check()
            destination.delete(shelf.manifest_name(name))
            pruned.backups.append(name)
        for name in list(shelf.interrupted(destination)):
            destination.delete(name)
        needed = heapq.merge(*(_names(destination, one) for one in kept))
        for _ in in_parallel(destination.delete, _unneeded(destination, needed)):
            pruned.files += 1
            if pruned.files % 1000 == 1:
                lock.check()
    return pruned


def _names(destination: Destination, of: Manifest) -> Iterator[str]:
    return (blob.name for blob in shelf.listed_blobs(destination, of))


def _unneeded(destination: Destination, needed: Iterator[str]) -> Iterator[str]:
    """Walk in parallel through the objects that exist and those that are needed, both by name."""
    following = next(needed, None)
    for one in destination.list(shelf.BLOBS):
        while following is not None and following < one.name:
            following = next(needed, None)
        if following != one.name:
            yield one.name
