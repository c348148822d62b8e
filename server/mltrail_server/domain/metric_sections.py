"""How the charts of a run are arranged: training beside validation first, then by the prefix of the metric's name."""

import re
from collections.abc import Collection
from dataclasses import dataclass

from .direction import display_order, is_system, splits, words

SPLITS = "Training and validation"
_NUMBER = re.compile(r"(\d+)")


@dataclass(frozen=True, slots=True)
class Section:
    """`charts` are lists of metrics: each list is drawn in one chart. The `name` is "" for metrics without a prefix."""

    name: str
    charts: list[list[str]]

    @property
    def keys(self) -> list[str]:
        return [key for chart in self.charts for key in chart]


def sections(names: Collection[str]) -> list[Section]:
    """Arrange metrics. Those of validation and training with the same name share a chart, losses first."""
    measured = [name for name in names if not is_system(name)]
    pairs = sorted(_pairs(measured), key=lambda pair: ("loss" not in words(pair[0]), display_order(pair[0])))
    paired = {name for pair in pairs for name in pair}
    by_prefix = _by_prefix([name for name in measured if name not in paired])
    rest = [Section(prefix, [[name] for name in sorted(of, key=_place)]) for prefix, of in by_prefix.items()]
    together = [Section(SPLITS, [list(pair) for pair in pairs])] if pairs else []
    return together + sorted(rest, key=_section_place)


def _by_prefix(names: Collection[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name in names:
        found.setdefault(name.partition("/")[0] if "/" in name else "", []).append(name)
    # A section for one chart would be mostly empty.
    for prefix in [prefix for prefix, of in found.items() if prefix and len(of) == 1]:
        found.setdefault("", []).extend(found.pop(prefix))
    return found


def _pairs(names: Collection[str]) -> list[tuple[str, str]]:
    """Pair a metric of validation with that of training; as Keras has it, `loss` is the training's of `val_loss`."""
    found = {held_out: train for train, held_out in splits(names)}
    taken = {*found, *found.values()}
    by_words = {tuple(words(name)): name for name in names if name not in taken}
    for name in names:
        first, *rest = words(name) or [""]
        plain = by_words.get(tuple(rest))
        if name not in taken and first in ("val", "valid", "validation") and plain is not None and plain not in taken:
            found[name] = plain
            taken |= {name, plain}
    return list(found.items())


def _place(name: str) -> tuple[int, int, int, list[str | int]]:
    split, measure, length, _ = display_order(name)
    return split, measure, length, natural(name)


def _section_place(section: Section) -> tuple[bool, int, int, list[str | int]]:
    split, measure, *_ = min(_place(key) for key in section.keys)
    return section.name != "", split, measure, natural(section.name)


def natural(name: str) -> list[str | int]:
    """Return the key that sorts names with numbers in them as people count: layer2 before layer10."""
    return [int(part) if place % 2 else part for place, part in enumerate(_NUMBER.split(name))]
