"""What a model was trained with, from the files that MLflow saves with it: the versions of Python and of packages.

https://mlflow.org/docs/latest/ml/model/dependencies/
"""

import re
from collections.abc import Mapping

REQUIREMENTS = "requirements.txt"
PYTHON = "python_env.yaml"

_PINNED = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^\]]*\])?\s*===?\s*([^\s;#,]+)")
_PYTHON = re.compile(r"^python:\s*[\"']?([0-9][\w.]*)", re.MULTILINE)
_MOST = 500


def read(files: Mapping[str, str]) -> dict[str, str]:
    """Read the versions from the contents of these files; packages that are not pinned are left out."""
    found = _PYTHON.search(files.get(PYTHON, ""))
    versions = {"python": found[1]} if found else {}
    for line in files.get(REQUIREMENTS, "").splitlines()[:_MOST]:
        match = _PINNED.match(line.strip())
        if match:
            versions[match[1].lower().replace("_", "-")] = match[2]
    return versions
