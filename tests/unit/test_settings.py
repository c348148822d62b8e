"""Settings: docs/reference/settings.md."""

import stat
from pathlib import Path

import pytest
from scripts.settings_table import table

from mltrail_server.app import create_deps
from mltrail_server.domain.errors import MltrailError
from mltrail_server.settings import Settings

PAGE = Path(__file__).parents[2] / "docs/reference/settings.md"


def test_the_page_shows_every_setting() -> None:
    assert table() in PAGE.read_text()


def test_options_win_over_variables() -> None:
    environment = {"MLTRAIL_DATA_DIR": "/from/variable", "MLTRAIL_LOCAL_TOKEN": "t"}
    settings = Settings.from_environment(environment, data_dir="/from/option")
    assert (settings.data_dir, settings.local_token) == ("/from/option", "t")


def test_secrets_are_not_shown() -> None:
    assert "hush" not in repr(Settings(gitlab_token="hush", local_token="hush", secret_key="hush", database_url="hush"))


@pytest.mark.parametrize(
    ("environment", "says"),
    [
        ({"MLTRAIL_GITLAB_TOKN": "x"}, "unknown setting MLTRAIL_GITLAB_TOKN"),
        ({"MLTRAIL_GITLAB_URL": "gitlab.example.com"}, "must be an http or https URL"),
        ({"MLTRAIL_GITLAB_URL": "https://gitlab.example.com"}, "MLTRAIL_EXTERNAL_URL must name"),
        ({"MLTRAIL_DATABASE_URL": "postgresql://db/x"}, "set MLTRAIL_GITLAB_URL to run a team"),
        ({"MLTRAIL_EXTERNAL_URL": "https://mltrail.example.com"}, "this machine only"),
        ({"MLTRAIL_ARTIFACTS": "gs://bucket/prefix"}, "must be a folder or s3://bucket/prefix"),
        ({"MLTRAIL_FOLDER_SYNC": "yes"}, "MLTRAIL_FOLDER_SYNC must be on or off"),
        ({"MLTRAIL_ARTIFACTS": "s3:///prefix"}, "names no bucket"),
        ({"MLTRAIL_S3_ENDPOINT_URL": "https://minio.example.com"}, "MLTRAIL_ARTIFACTS is not s3"),
        ({"MLTRAIL_ARTIFACTS": "s3://b", "MLTRAIL_S3_ENDPOINT_URL": "minio:9000"}, "must be an http or https URL"),
        ({"MLTRAIL_ARTIFACTS": "s3://b", "MLTRAIL_S3_DIRECT": "on"}, "asked, announced or off"),
    ],
)
def test_a_mistake_is_told_with_its_remedy(environment: dict[str, str], says: str) -> None:
    with pytest.raises(MltrailError, match=says):
        Settings.from_environment(environment)


@pytest.mark.parametrize("url", ["s3://bucket", "s3://bucket/"])
def test_a_bucket_needs_no_prefix(url: str) -> None:
    assert Settings(artifacts=url).s3_place == ("bucket", "")
    assert Settings(artifacts=f"{url.rstrip('/')}/a/b/").s3_place == ("bucket", "a/b")


def test_a_child_process_gets_the_same_settings(tmp_path: Path) -> None:
    settings = Settings(data_dir=str(tmp_path)).with_kept_secrets()
    assert Settings.from_environment(settings.to_environment()) == settings


def test_made_secrets_are_kept_and_only_their_owner_reads_them(tmp_path: Path) -> None:
    first = Settings(data_dir=str(tmp_path)).with_kept_secrets()
    assert Settings(data_dir=str(tmp_path)).with_kept_secrets() == first
    assert (tmp_path / "local-token").stat().st_mode & 0o077 == 0


def test_no_application_runs_with_an_empty_secret(tmp_path: Path) -> None:
    first = create_deps(Settings(data_dir=str(tmp_path)))
    again = create_deps(Settings(data_dir=str(tmp_path)))
    assert len(first.settings.secret_key) >= 24
    assert len(first.settings.local_token) >= 24
    assert again.settings == first.settings
    for made in (first, again):
        made.db.dispose()


def test_the_data_folder_is_its_owners_alone(tmp_path: Path) -> None:
    create_deps(Settings(data_dir=str(tmp_path / "data"))).db.dispose()
    assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o700
