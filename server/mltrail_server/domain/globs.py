"""Match names against globs. Each is compiled once: a contract may have a thousand globs, its runs ten
thousand names.
"""

import fnmatch
import re
from collections.abc import Iterable
from functools import lru_cache


def matching(names: Iterable[str], glob: str) -> list[str]:
    """List the names that match a glob (`*`, `?` and `[…]`, case-sensitive)."""
    match = _compiled(glob).match
    return [name for name in names if match(name)]


def matching_any(names: Iterable[str], globs: Iterable[str]) -> set[str]:
    known = list(names)
    return {name for glob in set(globs) for name in matching(known, glob)}


@lru_cache(maxsize=1024)
def _compiled(glob: str) -> re.Pattern[str]:
    return re.compile(fnmatch.translate(glob))
