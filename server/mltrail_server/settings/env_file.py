"""A file of settings that Docker Compose and systemd read alike, and that people edit.

The two differ in what they do with `$`, backslashes and comments behind a value, so a file that uses any of these is
refused, and values that contain them are written in single quotes, which both take literally.

https://docs.docker.com/compose/how-tos/environment-variables/variable-interpolation/#env-file-syntax
https://www.freedesktop.org/software/systemd/man/latest/systemd.exec.html#EnvironmentFile=
"""

import os
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from .checks import mistake

_ITEM = re.compile(
    r"""
    [ \t]*(?:\#[^\n]*)?(?<!\\)(?:\n|\Z)  # nothing, or a comment; systemd 252 continues one after a backslash
    |
    (?P<name>[A-Za-z_][A-Za-z0-9_]*)=
    (?P<value>
        '(?P<single>[^'\n]*)(?<!\\)'  # Compose takes a quote behind a backslash as part of the value
        | "(?P<double>[^"\\$`\n]*)"
        | (?P<plain>(?!\#)(?:(?![ \t]\#)[^\n'"\\$`])*)
    )
    [ \t]*(?:\n|\Z)
    """,
    re.VERBOSE,
)
_PLAIN = re.compile(r"[A-Za-z0-9_./:@,+=%~?&-]*")


@dataclass(frozen=True, slots=True)
class _Place:
    value: str
    begin: int  # of the value with its quotes, in the text
    end: int


class EnvFile:
    """The text of a settings file. Changes leave everything else in it as it was."""

    def __init__(self, path: Path, text: str) -> None:
        self.path = path
        self._text = text
        self._places: dict[str, _Place] = {}
        self._parse()

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a file; one that does not exist is empty. Raises INVALID, naming the line, if the two would read it
        differently.
        """
        try:
            return cls(path, path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return cls(path, "")
        except UnicodeDecodeError as error:
            raise mistake(f"{path} is not a text file in UTF-8") from error

    @property
    def values(self) -> dict[str, str]:
        """The values by name, without empty ones, which mean the same as none."""
        return {name: place.value for name, place in self._places.items() if place.value}

    def set(self, values: Mapping[str, str], comment: str) -> None:
        """Give variables a value: in their line if they have one, else below `comment`, which is added if it is new."""
        new = {name: written(name, value) for name, value in values.items()}
        for name in [name for name in new if name in self._places]:
            place, value = self._places[name], new.pop(name)
            self._text = self._text[: place.begin] + value + self._text[place.end :]
            self._parse()
        if new:
            self._add("".join(f"{name}={value}\n" for name, value in new.items()), f"# {comment}\n")

    def _add(self, lines: str, heading: str) -> None:
        text = self._text if not self._text or self._text.endswith("\n") else self._text + "\n"
        found = text.find(heading)
        if found < 0:
            text += ("\n" if text else "") + heading + lines
        else:
            gap = text.find("\n\n", found)
            end = len(text) if gap < 0 else gap + 1
            text = text[:end] + lines + text[end:]
        self._text = text
        self._parse()

    def write(self) -> None:
        """Replace the file as a whole, readable by its owner only. Raises OSError; the file is then as it was."""
        path = self.path.resolve()  # a symbolic link stays one
        made = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        try:
            with os.fdopen(os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
                file.write(self._text)
                file.flush()
                os.fsync(file.fileno())
                if os.geteuid() == 0 and path.exists():  # root edits it for its owner
                    os.fchown(file.fileno(), path.stat().st_uid, path.stat().st_gid)
            made.replace(path)
        finally:
            made.unlink(missing_ok=True)

    def _parse(self) -> None:
        self._places.clear()
        position = 0
        while position < len(self._text):
            item = _ITEM.match(self._text, position)
            if item is None:
                raise self._wrong(position, "Docker Compose and systemd would read it differently: write NAME='value'")
            if name := item["name"]:
                if name in self._places:
                    raise self._wrong(position, f"{name} has a value already; remove one of the two lines")
                value = next(item[kind] for kind in ("single", "double", "plain") if item[kind] is not None)
                self._places[name] = _Place(value.strip(), item.start("value"), item.end("value"))
            position = item.end()

    def _wrong(self, position: int, why: str) -> Exception:
        # The line itself may hold a secret.
        return mistake(f"{self.path}, line {self._text.count(chr(10), 0, position) + 1}: {why}.")


def written(name: str, value: str) -> str:
    """Write a value so that both take it literally. Raises INVALID for one that can't be written like that."""
    if _PLAIN.fullmatch(value):
        return value
    if "'" in value or value.endswith("\\") or not value.isprintable():
        raise mistake(
            f"{name} can't be written into a settings file: it contains a quote or a line break, or ends with a "
            "backslash"
        )
    return f"'{value}'"
