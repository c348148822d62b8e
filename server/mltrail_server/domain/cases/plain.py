"""One form for labels, predictions and ids, however a file writes them."""

import math
import re
import unicodedata

_WHOLE = re.compile(r"(-?\d+)\.0+")
_POINT_ZERO = re.compile(r"-?\d+\.0")
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
    text = composed(value)
    whole = _WHOLE.fullmatch(text)
    return whole[1] if whole else _TRUTHS.get(text, text)


def name(value: str | float | bool | None) -> str:
    """Bring a case's id into the form by which it is matched: 7 and 7.0 are equal, since pandas writes whole numbers as
    7.0 if one of them is missing. Two ids of one table that become equal this way still differ as text.
    """
    if not isinstance(value, str):
        return plain(value)
    text = composed(value)
    return text.removesuffix(".0") if _POINT_ZERO.fullmatch(text) else text


def composed(text: str) -> str:
    """Write each accented letter as one character, since systems differ in that, and strip surrounding spaces."""
    text = text.strip()
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def _number(value: float) -> str:
    if math.isnan(value):
        return ""
    return str(int(value)) if value.is_integer() and abs(value) < _MOST_WHOLE else repr(value)
