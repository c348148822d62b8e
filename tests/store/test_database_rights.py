"""What an operator is told of a database that refuses them: its own words, on one line."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.postgresql import Cluster
from tests.team_server import COMMAND

SETTINGS = {"MLTRAIL_GITLAB_URL": "http://127.0.0.1:1", "MLTRAIL_EXTERNAL_URL": "https://mltrail.example.com"}
LESS = "reader:sup3rs3cret"


def said(url: str, folder: Path, *command: str) -> str:
    environment = {"PATH": os.environ["PATH"], "MLTRAIL_DATA_DIR": str(folder), "MLTRAIL_DATABASE_URL": url}
    done = subprocess.run(
        [str(COMMAND), *command], env=environment | SETTINGS, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2, done.stderr
    assert "sup3rs3cret" not in done.stdout + done.stderr
    return done.stderr


@pytest.mark.parametrize("command", [["migrate"], ["worker", "--once"]], ids=["migrate", "worker"])
def test_a_user_without_the_right_to_create_tables_is_named_no_bug(
    cluster: Cluster, tmp_path: Path, command: list[str]
) -> None:
    cluster.run("CREATE ROLE reader LOGIN PASSWORD 'sup3rs3cret'")
    cluster.run("CREATE DATABASE not_theirs")
    try:
        url = cluster.url("not_theirs").replace(f"postgres:{cluster.password}", LESS)
        error = said(url, tmp_path, *command)
        assert error.startswith("mltrail-server: ")
        assert "permission denied for schema public" in error
        assert error.count("\n") == 1
    finally:
        cluster.run("DROP DATABASE not_theirs WITH (FORCE)")
        cluster.run("DROP ROLE reader")


def test_a_wrong_password_and_a_missing_database_are_named(cluster: Cluster, tmp_path: Path) -> None:
    error = said(cluster.url().replace(cluster.password, "sup3rs3cret"), tmp_path, "worker", "--once")
    assert 'password authentication failed for user "postgres"' in error
    assert 'database "none" does not exist' in said(cluster.url("none"), tmp_path, "migrate")
