"""One form for labels, predictions and ids, however a file writes them."""

import math
import re

_WHOLE = re.compile(r"(-?\d+)\.0+")
_TRUTHS = {"True": "1", "true": "1", "TRUE": "1", "False": "0", "false": "0", "FALSE": "0"}
_MOST_WHOLE = 1e15  # above it not every whole number is a float


def plain(value: str | float | bool | None) -> str:
    """Bring a value into the form in which it is compared: 1, 1.0 and True are equal. Empty if there is none."""
    match value:
        case None:
            return ""
        case bool():
            return "1" if value else "0"
        case int():
            return str(value)
        case float():
            return _number(value)
    text = value.strip()
    whole = _WHOLE.fullmatch(text)
    return whole[1] if whole else _TRUTHS.get(text, text)


def _number(value: float) -> str:
    if math.isnan(value):
        return ""
    return str(int(value)) if value.is_integer() and abs(value) < _MOST_WHOLE else repr(value)
