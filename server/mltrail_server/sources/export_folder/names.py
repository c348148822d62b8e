"""Names in an exported folder: those of the tool mlflow-export-import, and those that `mltrail-server export` adds.

The tool ignores what it does not know, so each of its JSON files has a file of ours beside it that has everything.
"""

import hashlib
import re

RUN, EXPERIMENT, MODEL = "run.json", "experiment.json", "model.json"
EXPERIMENTS, MODELS = "experiments.json", "models.json"
ARTIFACTS = "artifacts"

RECORD = "mltrail.json"
"""What mltrail knows about the run, experiment, model, logged model or trace whose folder it lies in."""
STATE = "mltrail-export.json"
"""What was exported, and whether the export has ended."""
DIGESTS = "mltrail-digests.sha256"
"""The SHA-256 of each file, as `sha256sum -c` reads it."""
EXTRA = "mltrail"
"""The folder of what the tool has no place for."""
LOGGED_MODELS, TRACES, SCORERS = f"{EXTRA}/logged-models", f"{EXTRA}/traces", f"{EXTRA}/scorers"
DATASETS, FILES = f"{EXTRA}/evaluation-datasets", f"{EXTRA}/files"
SPANS = "traces.json"
PART = ".part"
"""The suffix of what is not complete."""
UNITS = ("experiments/*/*", "models/*", f"{LOGGED_MODELS}/*/*", f"{TRACES}/*/*")
"""Folders with a record and the files that belong to it."""

_SAFE = re.compile("[^\x00-\x1f\x7f/\\\\~.\ud800-\udfff][^\x00-\x1f\x7f/\\\\\ud800-\udfff]*")
_LONGEST = 200


def folder_name(name: str) -> str:
    """Return the name itself if a folder can have it, or else one made from its digest, which is always the same."""
    as_bytes = name.encode(errors="surrogatepass")
    plain = _SAFE.fullmatch(name) and name == name.strip() and not name.endswith(PART)
    if plain and len(as_bytes) <= _LONGEST:
        return name
    return f"~{hashlib.sha256(as_bytes).hexdigest()[:40]}"


def can_be_a_file(path: str) -> bool:
    """Whether a file can have this path below a folder, on the usual file systems of Linux."""
    return len(path.encode()) <= 2_000 and all(len(part.encode()) <= 255 for part in path.split("/"))
