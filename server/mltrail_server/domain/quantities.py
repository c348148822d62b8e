"""Durations and sizes as people write them."""

_UNITS = ((10**12, "TB"), (10**9, "GB"), (10**6, "MB"), (10**3, "kB"), (1, "bytes"))


def duration(seconds: float) -> str:
    """Write a duration in its two largest units: 45 s, 12 min, 3 h 20 min, 2 d 5 h."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h" if hours else f"{days} d"


def short_duration(seconds: float) -> str:
    """Write a duration that may be below a second, with three digits: 0.0125 s, 1.75 s, 12 min."""
    return f"{seconds:.3g} s" if seconds < 60 else duration(seconds)


def size(count: float) -> str:
    """Write a number of bytes: 12 bytes, 1.5 kB, 20 MB."""
    unit, name = next(((unit, name) for unit, name in _UNITS if count >= unit), _UNITS[-1])
    number = f"{count:.0f}" if unit == 1 else f"{count / unit:.1f}".removesuffix(".0")
    return f"{number} {name}"
