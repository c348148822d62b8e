"""Where a dataset lies, in words. MLflow logs it as JSON that differs from kind to kind.

https://mlflow.org/docs/latest/ml/dataset/
"""

import json

_PLACES = ("url", "uri", "path", "table_name")
_NAME = "mlflow.source.name"  # of a dataset that code has made: the program


def readable(source_type: str, source: str) -> str:
    """Tell the kind and the place; what has no known place is told as it was logged."""
    try:
        told = json.loads(source)
    except (ValueError, RecursionError):  # no JSON, or too deep a one
        return f"{source_type}: {source}"
    if isinstance(told, dict):
        tags = told.get("tags")
        places = [told.get(name) for name in _PLACES] + [tags.get(_NAME) if isinstance(tags, dict) else None]
        for place in places:
            if isinstance(place, str) and place:
                return f"{source_type}: {place}"
    return f"{source_type}: {source}"
