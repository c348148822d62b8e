"""Names that globs name. A pattern is compiled once for all names: contracts may hold a thousand, runs ten thousand."""

import fnmatch
import re
from collections.abc import Iterable


def matching(names: Iterable[str], glob: str) -> list[str]:
    """List the names that a glob names: `*`, `?` and `[…]`, in the case that is written."""
    match = re.compile(fnmatch.translate(glob)).match
    return [name for name in names if match(name)]


def matching_any(names: Iterable[str], globs: Iterable[str]) -> set[str]:
    known = list(names)
    return {name for glob in set(globs) for name in matching(known, glob)}
