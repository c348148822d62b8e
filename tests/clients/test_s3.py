"""MLflow's own client sends and fetches large files at S3 itself, if set up for it or if the server announces it."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.clients.environments import ENVIRONMENTS, HERE, TOKEN
from tests.e2e.processes import Server
from tests.s3 import Bucket

ASKED = {"MLFLOW_ENABLE_PROXY_MULTIPART_UPLOAD": "true", "MLFLOW_ENABLE_PROXY_MULTIPART_DOWNLOAD": "true"}
MB = 1 << 20


@pytest.mark.clients
@pytest.mark.parametrize(
    ("client", "announced", "direct"),
    [("mlflow-3", True, True), ("mlflow-3", False, False), ("mlflow-2", False, True)],
)
def test_a_large_file(
    client: str, announced: bool, direct: bool, bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLTRAIL_ARTIFACTS", bucket.url)
    monkeypatch.setenv("MLTRAIL_S3_ENDPOINT_URL", bucket.endpoint_url)
    monkeypatch.setenv("MLTRAIL_S3_DIRECT", "announced" if announced else "asked")
    with Server.started(tmp_path / "server", token=TOKEN) as server:
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path),
            "PYTHONDONTWRITEBYTECODE": "1",
            "MLFLOW_TRACKING_URI": f"{server.url}/api/v4/projects/1/ml/mlflow",
            "MLFLOW_TRACKING_TOKEN": TOKEN,
            "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
            "MLFLOW_MULTIPART_UPLOAD_MINIMUM_FILE_SIZE": str(5 * MB),
            "MLFLOW_MULTIPART_UPLOAD_CHUNK_SIZE": str(5 * MB),
            "MLFLOW_MULTIPART_DOWNLOAD_CHUNK_SIZE": str(5 * MB),
            "GIT_PYTHON_REFRESH": "quiet",
        } | (ASKED if direct and not announced else {})
        done = subprocess.run(
            [ENVIRONMENTS / client / "bin/python", HERE / "large_file.py"],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stderr[-3000:]
    # What went in parts past the server has S3's tag of a file in parts; what is small went through the server.
    objects = {one["Size"]: one["ETag"] for one in bucket.api.list_objects_v2(Bucket=bucket.name)["Contents"]}
    assert set(objects) == {5, 12 * MB}
    assert objects[12 * MB].endswith('-3"') is direct
    assert bucket.uploads() == []
