"""`mltrail-server doctor` on a team's server and on a laptop: what is well, what is not, and no secret."""

import io
import json
from argparse import Namespace
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import pytest

from mltrail_server.artifacts.s3 import S3Files
from mltrail_server.commands.doctor import run
from mltrail_server.settings import Settings
from tests.environment import without_settings
from tests.processes import free_port
from tests.s3 import Bucket
from tests.static_files import serving
from tests.team_server import TeamServer

TOKEN = "token-of-prometheus"


def doctor(environment: dict[str, str], *, as_json: bool = False) -> tuple[int, str]:
    """Run it in this process, which is faster than starting a program."""
    text = io.StringIO()
    with redirect_stdout(text):
        code = run(Settings.from_environment(environment), Namespace(json=as_json))
    return code, text.getvalue()


def outcomes(environment: dict[str, str]) -> dict[str, Any]:
    code, text = doctor(environment, as_json=True)
    found = {one["name"]: one for one in json.loads(text)["checks"]}
    assert code == (1 if any(one["outcome"] == "FAILED" for one in found.values()) else 0)
    return found


def files_of(folder: Path) -> dict[str, int]:
    return {str(one): one.stat().st_mtime_ns for one in folder.rglob("*") if not one.name.endswith(("-shm", "-wal"))}


@pytest.mark.e2e
def test_a_teams_server(tmp_path: Path) -> None:
    with TeamServer(tmp_path, MLTRAIL_METRICS_TOKEN=TOKEN) as server:
        before = files_of(tmp_path / "data")
        code, text = doctor(server.environment())
        assert code == 0, text
        for line in (
            "ok      schema: revision",
            "ok      SQLite: ",
            "ok      bot's token: bot, scopes api",
            "ok      issuer and keys: ",
            f"ok      external URL: {server.url} leads to an mltrail server that is ready",
            "ok      Authorization header: it reaches the server",
            "ok      metrics from outside: they are not public",
            "warning backup: there is none yet",
            "skipped GitLab's certificate: ",
            "set     MLTRAIL_GITLAB_TOKEN: [hidden]",
        ):
            assert line in text
        assert text.endswith("passed\n")
        assert server.bot_token not in text
        assert TOKEN not in text
        assert files_of(tmp_path / "data") == before, "it writes nothing"

        variables = server.environment()
        found = outcomes(variables | {"MLTRAIL_GITLAB_TOKEN": "glpat-unknown-to-gitlab"})
        assert found["bot's token"]["outcome"] == "FAILED"
        assert "wrong, expired or revoked" in found["bot's token"]["detail"]
        with serving(tmp_path / "data") as url:
            elsewhere = outcomes(variables | {"MLTRAIL_EXTERNAL_URL": url})
        assert "not from mltrail" in elsewhere["external URL"]["detail"]
        nowhere = f"127.0.0.1:{free_port()}"
        unreached = outcomes(variables | {"MLTRAIL_EXTERNAL_URL": f"http://{nowhere}"})
        assert unreached["external URL"]["outcome"] == "warning"
        assert unreached["large uploads"]["outcome"] == "skipped", "what was not asked is not said to be well"
        down = outcomes(variables | {"MLTRAIL_DATABASE_URL": f"postgresql://mltrail:hush@{nowhere}/mltrail"})
        assert nowhere.split(":")[1] in down["database"]["detail"], "it names what does not answer"
        assert "hush" not in str(down)
        assert server.gitlab.url not in down["database"]["detail"]
        server.gitlab.tokens[server.bot_token].expires_at = "2020-01-01"
        assert outcomes(variables)["bot's token"]["outcome"] == "warning"


@pytest.mark.e2e
def test_metrics_that_a_proxy_makes_public(tmp_path: Path) -> None:
    with TeamServer(tmp_path) as server:
        found = outcomes(server.environment())
    assert "set MLTRAIL_METRICS_TOKEN" in found["metrics from outside"]["detail"]


def test_a_laptop_before_and_without_a_server(tmp_path: Path) -> None:
    found = outcomes(without_settings() | {"MLTRAIL_DATA_DIR": str(tmp_path / "none")})
    assert "no server has set it up" in found["database"]["detail"]
    assert found["file store"]["outcome"] == "skipped"
    assert "GitLab's version" not in found
    assert not (tmp_path / "none").exists(), "it creates nothing"


def test_a_bucket_that_keeps_old_versions(bucket: Bucket) -> None:
    files = S3Files(bucket.name, "x", endpoint_url=bucket.endpoint_url)
    assert files.hints() == []
    bucket.api.put_bucket_versioning(Bucket=bucket.name, VersioningConfiguration={"Status": "Enabled"})
    assert "lifecycle rule" in files.hints()[0]
    rule = {"ID": "old", "Status": "Enabled", "Filter": {"Prefix": ""}}
    rule["NoncurrentVersionExpiration"] = {"NoncurrentDays": 3}
    bucket.api.put_bucket_lifecycle_configuration(Bucket=bucket.name, LifecycleConfiguration={"Rules": [rule]})
    assert files.hints() == []
