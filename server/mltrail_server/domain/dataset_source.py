"""Where a dataset is, in words. MLflow logs it as JSON, with different keys for each kind.

https://mlflow.org/docs/latest/ml/dataset/
"""

from . import json_text

_PLACES = ("url", "uri", "path", "table_name")
_NAME = "mlflow.source.name"  # of a dataset that code has created: the program


def readable(source_type: str, source: str) -> str:
    """Return the kind and the location, or what was logged if the location is not known."""
    try:
        decoded = json_text.loads(source)
    except (ValueError, RecursionError):  # not JSON, or nested too deeply
        return f"{source_type}: {source}"
    if isinstance(decoded, dict):
        tags = decoded.get("tags")
        places = [decoded.get(name) for name in _PLACES] + [tags.get(_NAME) if isinstance(tags, dict) else None]
        for place in places:
            if isinstance(place, str) and place:
                return f"{source_type}: {place}"
    return f"{source_type}: {source}"
