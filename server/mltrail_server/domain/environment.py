"""What a model was trained with, from the files that MLflow saves with it: the versions of Python and of packages.

https://mlflow.org/docs/latest/ml/model/dependencies/
"""

import re
from collections.abc import Mapping

REQUIREMENTS = "requirements.txt"
PYTHON = "python_env.yaml"
CONDA = "conda.yaml"

_PINNED = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^\]]*\])?\s*===?\s*([^\s;#,]+)")
_PYTHON = re.compile(r"^python:\s*[\"']?([0-9][\w.]*)", re.MULTILINE)
_CONDA = re.compile(r"-\s+[\"']?(?:[\w./-]+::)?([A-Za-z0-9][A-Za-z0-9._-]*)\s*={1,3}\s*([^\s;#=\"']+)")
_MOST = 500


def read(files: Mapping[str, str]) -> dict[str, str]:
    """Read the versions from the contents of these files; packages that are not pinned are left out. Conda's file
    counts for what the others do not name.
    """
    found = _PYTHON.search(files.get(PYTHON, ""))
    versions = {"python": found[1]} if found else {}
    versions |= _pinned(_PINNED, files.get(REQUIREMENTS, ""))
    return _pinned(_CONDA, files.get(CONDA, "")) | versions


def _pinned(pattern: re.Pattern[str], text: str) -> dict[str, str]:
    matches = (pattern.match(line.strip()) for line in text.splitlines()[:_MOST])
    return {match[1].lower().replace("_", "-"): match[2] for match in matches if match}
