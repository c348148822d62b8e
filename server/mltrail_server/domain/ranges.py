"""Lists of numbers as short texts: `3-17,20`."""

from collections.abc import Iterable, Sequence

_DIGITS = 18


def written(numbers: Iterable[int]) -> str:
    """Write numbers in order, neighbours as ranges."""
    runs: list[list[int]] = []
    for number in sorted(set(numbers)):
        if runs and runs[-1][-1] == number - 1:
            runs[-1][1:] = [number]
        else:
            runs.append([number])
    return ",".join("-".join(map(str, run)) for run in runs)


def read(text: str, *, most: int) -> Sequence[int]:
    """Read what `written` writes, or a plain list: at most so many numbers, each once. Raises ValueError for any other
    text.
    """
    found: dict[int, None] = {}
    for part in text.split(","):
        if not part.strip():
            continue
        first, dash, last = part.strip().partition("-")
        low, high = _number(first), _number(last if dash else first)
        if high - low >= most:
            raise ValueError(f"{part} has more than {most} numbers")
        found.update(dict.fromkeys(range(low, high + 1)))
        if len(found) > most:
            raise ValueError(f"there are more than {most} numbers")
    return list(found)


def _number(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= _DIGITS):
        raise ValueError(f"{text!r} is not a number")
    return int(text)
