"""A program for a client's environment: log a large file and fetch it again, by URLs of the store where asked to."""

import hashlib
import sys
import tempfile
from pathlib import Path

import mlflow

SIZE = 12 << 20


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "weights.bin"
        path.write_bytes(hashlib.shake_256(b"weights").digest(SIZE))
        with mlflow.start_run() as run:
            mlflow.log_artifact(str(path), "deep/er")
            mlflow.log_text("small", "small.txt")
        fetched = mlflow.artifacts.download_artifacts(run_id=run.info.run_id, artifact_path="deep/er/weights.bin")
        same = Path(fetched).read_bytes() == path.read_bytes()
        small = mlflow.artifacts.load_text(f"{run.info.artifact_uri}/small.txt")
    sys.exit(0 if same and small == "small" else 1)


if __name__ == "__main__":
    main()
