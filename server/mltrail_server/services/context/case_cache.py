"""What one process remembers of comparisons case by case, so that a report that is computed again reads no table."""

from collections import OrderedDict
from collections.abc import Hashable
from threading import Lock
from typing import TYPE_CHECKING

from mltrail_server.domain.ids import ProjectId

if TYPE_CHECKING:
    from mltrail_server.domain.cases.result import CaseResult

Key = tuple[ProjectId, Hashable]
_MOST_ENTRIES = 500


class CaseCache:
    """Blobs never change, so what was found about them stays true. The result of a comparison is small; tables are not
    kept.
    """

    def __init__(self) -> None:
        self._found: OrderedDict[Key, CaseResult] = OrderedDict()
        self._lock = Lock()

    def get(self, key: Key) -> "CaseResult | None":
        with self._lock:
            if key in self._found:
                self._found.move_to_end(key)
            return self._found.get(key)

    def put(self, key: Key, result: "CaseResult") -> None:
        with self._lock:
            self._found[key] = result
            self._found.move_to_end(key)
            if len(self._found) > _MOST_ENTRIES:
                self._found.popitem(last=False)
