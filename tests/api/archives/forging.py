"""An archive that somebody has changed, with digests that fit again: only a signature tells, or what it says."""

import gzip
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Forgery:
    """Changes an archive. Unless `signed`, its signature is removed, as who has no key would."""

    folder: Path
    signed: bool = False

    @property
    def manifest(self) -> Any:
        return json.loads((self.folder / "manifest.json").read_text())

    def rewrite(self, change: Callable[[Any], object]) -> None:
        """Change the manifest."""
        manifest = self.manifest
        change(manifest)
        (self.folder / "manifest.json").write_text(json.dumps(manifest))
        if not self.signed:
            (self.folder / "signature.json").unlink(missing_ok=True)

    def rows(self, table: str) -> list[Any]:
        lines = gzip.decompress((self.folder / f"tables/{table}-1.jsonl.gz").read_bytes()).splitlines()
        return [json.loads(line) for line in lines]

    def columns(self, table: str) -> list[str]:
        (found,) = (one["columns"] for one in self.manifest["tables"] if one["name"] == table)
        return list(found)

    def set(self, table: str, column: str, value: Any, *, row: int = 0) -> None:
        """Change one value of one row."""
        rows = self.rows(table)
        rows[row][self.columns(table).index(column)] = value
        self.put(table, rows)

    def add(self, table: str, **values: Any) -> None:
        """Add a row: nulls, but for the given values."""
        has_some = (self.folder / f"tables/{table}-1.jsonl.gz").exists()
        row = [values.get(name) for name in self.columns(table)]
        self.put(table, [*(self.rows(table) if has_some else []), row])

    def put(self, table: str, rows: list[Any]) -> None:
        self.put_lines(table, b"".join(json.dumps(row).encode() + b"\n" for row in rows), len(rows))

    def drop(self, table: str) -> None:
        """Remove a table."""
        for path in (self.folder / "tables").glob(f"{table}-*.jsonl.gz"):
            path.unlink()
        self.rewrite(
            lambda manifest: manifest.update(tables=[one for one in manifest["tables"] if one["name"] != table])
        )

    def keep(self, table: str, columns: list[str]) -> None:
        """Remove all other columns of a table."""
        before = self.columns(table)
        if (self.folder / f"tables/{table}-1.jsonl.gz").exists():
            self.put(table, [[row[before.index(name)] for name in columns] for row in self.rows(table)])

        def change(manifest: Any) -> None:
            (found,) = (one for one in manifest["tables"] if one["name"] == table)
            found["columns"] = columns

        self.rewrite(change)

    def put_lines(self, table: str, lines: bytes, count: int, *, announced: int | None = None) -> None:
        """Write the only part of a table, and what the manifest says of it."""
        packed = gzip.compress(lines, 9)
        (self.folder / f"tables/{table}-1.jsonl.gz").write_bytes(packed)
        part = {
            "rows": count,
            "bytes": len(packed),
            "unpacked": announced or len(lines),
            "sha256": hashlib.sha256(packed).hexdigest(),
        }

        def change(manifest: Any) -> None:
            (found,) = (one for one in manifest["tables"] if one["name"] == table)
            found.update(rows=count, parts=[part])

        self.rewrite(change)

    def put_blobs(self, listed: list[Any]) -> None:
        """Write the list of blobs."""
        lines = b"".join(json.dumps(one).encode() + b"\n" for one in listed)
        packed = gzip.compress(lines)
        (self.folder / "blobs-1.jsonl.gz").write_bytes(packed)
        part = {
            "rows": len(listed),
            "bytes": len(packed),
            "unpacked": len(lines),
            "sha256": hashlib.sha256(packed).hexdigest(),
        }
        self.rewrite(lambda manifest: manifest["blobs"].update(count=len(listed), parts=[part]))

    @property
    def blobs(self) -> list[Any]:
        lines = gzip.decompress((self.folder / "blobs-1.jsonl.gz").read_bytes()).splitlines()
        return [json.loads(line) for line in lines]

    @property
    def content(self) -> Path:
        """Return the place of a content."""
        return next(path for path in sorted((self.folder / "blobs").rglob("*")) if path.is_file())
