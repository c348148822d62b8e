"""What GitLab keeps of a diff: only as much as its limits allow. https://docs.gitlab.com/administration/diff_limits/

A file whose own patch is too large is listed without it. If the diff as a whole gets too long, the file at which that
happens and all after it are left out, without an error: only the count shows it, "12+" instead of "12".
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Kind = Literal["new", "deleted", "renamed", "changed"]
_BYTES_A_FILE = 5 * 1024


@dataclass
class Limits:
    """The limits that an administrator can set. All patches together can have 5 KB per allowed file."""

    files: int = 1000
    lines: int = 50_000
    patch_bytes: int = 200 * 1024


@dataclass(frozen=True)
class Changed:
    old_path: str
    new_path: str
    kind: Kind
    text: str = ""
    too_large: bool = False


@dataclass(frozen=True)
class Diff:
    files: tuple[Changed, ...]
    overflow: bool

    @property
    def count(self) -> str:
        return f"{len(self.files)}+" if self.overflow else str(len(self.files))


def between(old: Mapping[str, str | bytes], new: Mapping[str, str | bytes], limits: Limits) -> Diff:
    kept: list[Changed] = []
    lines = total = 0
    for one in _changed(old, new, limits):
        if len(kept) >= limits.files:
            return Diff(tuple(kept), overflow=True)
        lines += one.text.count("\n")
        total += len(one.text.encode())
        if lines >= limits.lines or total >= limits.files * _BYTES_A_FILE:
            return Diff(tuple(kept), overflow=True)
        kept.append(one)
    return Diff(tuple(kept), overflow=False)


def _changed(old: Mapping[str, str | bytes], new: Mapping[str, str | bytes], limits: Limits) -> list[Changed]:
    """In the order of the paths. A file that disappeared in one place and appeared unchanged in another was renamed."""
    gone = {content: name for name, content in old.items() if name not in new}
    found: dict[str, Changed] = {}
    for name in sorted(old.keys() | new.keys()):
        before, now = old.get(name), new.get(name)
        if before == now:
            continue
        if before is None and now in gone:
            found[name] = Changed(gone.pop(now), name, "renamed")
            continue
        kind: Kind = "new" if before is None else "deleted" if now is None else "changed"
        patch = _lines(before, "-") + _lines(now, "+")
        too_large = len(patch.encode()) >= limits.patch_bytes
        found[name] = Changed(name, name, kind, "" if too_large else patch, too_large)
    moved = {one.old_path for one in found.values() if one.kind == "renamed"}
    return [one for name, one in found.items() if one.kind == "renamed" or name not in moved]


def _lines(content: str | bytes | None, sign: str) -> str:
    text = content.decode("utf-8", "replace") if isinstance(content, bytes) else content or ""
    return "".join(f"{sign}{line}\n" for line in text.splitlines())
