"""Loads versions of a model over and over, as services do, and prints what it got: one JSON line a round.

Arguments are the URIs.

Run with a client's own Python: it must not import anything of ours.
"""

import json
import sys
import tempfile
from pathlib import Path

import mlflow

URIS = sys.argv[1:]


def load(uri: str) -> str:
    """Download a version and answer the number that stands in each of its files, or what is wrong with them."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(mlflow.artifacts.download_artifacts(artifact_uri=uri, dst_path=folder))
        found = {name: (path / name).read_text().split() for name in ("MLmodel", "data/weights.txt")}
    numbers = {word for words in found.values() for word in words[1:]}
    return numbers.pop() if len(numbers) == 1 else f"mixed: {sorted(numbers)}"


while True:
    sys.stdout.write(json.dumps([load(uri) for uri in URIS]) + "\n")
    sys.stdout.flush()
    if not sys.stdin.readline():
        break
