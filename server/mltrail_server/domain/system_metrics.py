"""What MLflow measures of a machine, by the names that it gives: https://mlflow.org/docs/latest/ml/tracking/system-metrics/."""

from .direction import is_system

_UNITS = {"percentage": "%", "megabytes": "MB", "watts": "W"}
_WORDS = {"cpu": "CPU", "gpu": "GPU"}


def title(name: str) -> str:
    """Write a name as people do, with its unit: `system/gpu_0_power_usage_watts` is `GPU 0 power usage (W)`."""
    if not is_system(name):
        return name
    parts = name.partition("/")[2].split("_")
    unit = _UNITS.get(parts[-1], "")
    if unit:
        parts.pop()
    if len(parts) > 1 and parts[0] == "system":
        parts = parts[1:]
    text = " ".join(_WORDS.get(part, part) for part in parts) or name
    return text[0].upper() + text[1:] + (f" ({unit})" if unit else "")
