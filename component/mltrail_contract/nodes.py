"""Read values from a YAML document and collect the problems with them, by line.

Values are read as the contract means them, not as YAML 1.1 guesses: `no`, `on` and `1.10` are text where text is
expected, and only `true` and `false` are booleans.
"""

import math
import re
from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import TypeVar

import yaml

from .problems import ContractError, Problem

E = TypeVar("E", bound=StrEnum)
T = TypeVar("T")
_NUMBER = re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?")
_LONGEST_SHOWN = 40
_LONGEST_KEY = 200
_MOST_PROBLEMS = 100
_MOST_VALUES = 20_000


def shown(text: str) -> str:
    """Quote a piece of the file in a message, shortened."""
    text = " ".join(text.split())
    return f"'{text[: _LONGEST_SHOWN - 1]}…'" if len(text) > _LONGEST_SHOWN else f"'{text}'"


class Reader:
    """Collects problems. Each method returns None (or an empty collection) for a value with a problem."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self._values = 0

    def add_problem(self, node: yaml.Node, key: str, message: str) -> None:
        """Record a problem. Raises ContractError once there are too many to read."""
        mark = node.start_mark
        self.problems.append(Problem(mark.line + 1, mark.column + 1, key[:_LONGEST_KEY], message))
        if len(self.problems) == _MOST_PROBLEMS:
            raise ContractError(self.problems)

    def count(self, node: yaml.Node, key: str, more: int) -> None:
        """Count values. With aliases of aliases, a small file can contain very many; that raises ContractError."""
        self._values += more
        if self._values > _MOST_VALUES:
            self.add_problem(
                node, key, f"the file contains more than {_MOST_VALUES} values, including aliases (`*name`)"
            )
            raise ContractError(self.problems)

    def mapping(self, node: yaml.Node, key: str, known: Iterable[str] | None = None) -> "Entries":
        """Read a mapping. `known` lists the allowed keys; None allows any."""
        if not isinstance(node, yaml.MappingNode):
            self.add_problem(node, key, f"expected a mapping (`name: value` lines), found {_kind(node)}")
            return Entries()
        self.count(node, key, len(node.value))
        names = None if known is None else tuple(known)
        found = Entries()
        for name_node, value in node.value:
            if not isinstance(name_node, yaml.ScalarNode):
                self.add_problem(name_node, key, "a key must be plain text")
                continue
            name = name_node.value
            here = f"{key}.{name}" if key else name
            if name in found:
                self.add_problem(name_node, here, f"is given twice, first on line {found[name].line}")
            elif names is not None and name not in names:
                self.add_problem(
                    name_node, here, f"unknown key; the known ones are {', '.join(names)}{_nearest(name, names)}"
                )
            else:
                found[name] = Entry(self, value, here, name_node.start_mark.line + 1)
        return found


class Entry:
    """A value with its key and line."""

    def __init__(self, reader: Reader, node: yaml.Node, key: str, line: int) -> None:
        self.reader, self.node, self.key, self.line = reader, node, key, line

    def add_problem(self, message: str) -> None:
        self.reader.add_problem(self.node, self.key, message)

    def mapping(self, known: Iterable[str] | None = None) -> "Entries":
        return self.reader.mapping(self.node, self.key, known)

    def has(self, key: str) -> bool:
        """Whether this is a mapping with such a key."""
        pairs = self.node.value if isinstance(self.node, yaml.MappingNode) else ()
        return any(isinstance(name, yaml.ScalarNode) and name.value == key for name, _ in pairs)

    @property
    def is_mapping(self) -> bool:
        return isinstance(self.node, yaml.MappingNode)

    def items(self) -> "list[Entry]":
        if not isinstance(self.node, yaml.SequenceNode):
            self.add_problem(f"expected a list (`[a, b]` or `- a` lines), found {_kind(self.node)}")
            return []
        self.reader.count(self.node, self.key, len(self.node.value))
        return [
            Entry(self.reader, node, f"{self.key}[{number}]", node.start_mark.line + 1)
            for number, node in enumerate(self.node.value)
        ]

    def each(self, read: "Callable[[Entry], T | None]") -> tuple[T, ...]:
        return tuple(value for value in map(read, self.items()) if value is not None)

    def text(self) -> str | None:
        """Read text that is not empty, whatever YAML takes it for."""
        if not isinstance(self.node, yaml.ScalarNode):
            self.add_problem(f"expected text, found {_kind(self.node)}")
            return None
        text: str = self.node.value
        if not text or (self.node.style is None and text in ("~", "null")):
            self.add_problem("expected text, found nothing")
            return None
        return text

    def number(self, *, least: float = -math.inf) -> float | None:
        text = self.text()
        if text is None:
            return None
        if isinstance(self.node, yaml.ScalarNode) and self.node.style is None and _NUMBER.fullmatch(text):
            value = float(text)
            if math.isfinite(value) and value >= least:
                return value
        bound = "" if least == -math.inf else f" of at least {least:g}"
        self.add_problem(f"expected a number{bound}, found {shown(text)}")
        return None

    def truth(self) -> bool | None:
        text = self.text()
        if text not in (None, "true", "false"):
            self.add_problem(f"expected true or false, found {shown(text)}")
        return None if text is None else text == "true"

    def choice(self, choices: type[E]) -> E | None:
        text = self.text()
        if text is None:
            return None
        if text not in [one.value for one in choices]:
            self.add_problem(f"expected one of {', '.join(choices)}, found {shown(text)}")
            return None
        return choices(text)


class Entries(dict[str, Entry]):
    """The values of a mapping by their keys. Each method reads one, and returns None (or `default`) if it is left out
    or has a problem.
    """

    def read(self, key: str, read: Callable[[Entry], T | None]) -> T | None:
        return read(self[key]) if key in self else None

    def each(self, key: str, read: Callable[[Entry], T | None], default: tuple[T, ...] = ()) -> tuple[T, ...]:
        return self[key].each(read) if key in self else default

    def text(self, key: str) -> str | None:
        return self.read(key, Entry.text)

    def number(self, key: str, *, least: float = -math.inf) -> float | None:
        return self.read(key, lambda entry: entry.number(least=least))

    def truth(self, key: str) -> bool | None:
        return self.read(key, Entry.truth)

    def choice(self, key: str, choices: type[E]) -> E | None:
        return self.read(key, lambda entry: entry.choice(choices))


def _kind(node: yaml.Node) -> str:
    if isinstance(node, yaml.MappingNode):
        return "a mapping"
    if isinstance(node, yaml.SequenceNode):
        return "a list"
    return shown(node.value) if node.value else "nothing"


def _nearest(name: str, known: tuple[str, ...]) -> str:
    import difflib  # noqa: PLC0415 - needed only for a mistake

    found = difflib.get_close_matches(name, known, n=1)
    return f". Did you mean {found[0]}?" if found else ""
