"""The table of an experiment's runs, as its page shows it."""

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

ROOT = "/1/-/ml/experiments/0"
Log = Callable[..., str]


def url(**query: Any) -> str:
    return f"{ROOT}?{urlencode(query, doseq=True)}"


def names(shown: str) -> list[str]:
    return re.findall(r'<th scope="row"[^>]*><a href="/1/-/ml/candidates/\d+">([^<]+)</a>', shown)
