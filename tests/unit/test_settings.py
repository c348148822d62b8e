"""Settings: docs/reference/settings.md."""

import os
import stat
from dataclasses import fields
from pathlib import Path

import pytest
from scripts.settings_table import table

from mltrail_server.app import create_app, create_deps
from mltrail_server.domain.errors import MltrailError
from mltrail_server.settings import Settings
from mltrail_server.store.db.migrate import is_set_up
from tests.mlflow_client import Mlflow, good

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
        ({"MLTRAIL_GITLAB_TOKN": "x"}, "unknown setting MLTRAIL_GITLAB_TOKN; did you mean MLTRAIL_GITLAB_TOKEN"),
        ({"MLTRAIL_COLOUR": "x"}, "unknown setting MLTRAIL_COLOUR; the known ones are MLTRAIL_ALLOWED_NAMESPACES, "),
        ({"MLTRAIL_GITLAB_URL": "gitlab.example.com"}, "must be an http or https URL"),
        ({"MLTRAIL_GITLAB_URL": "https://gitlab.example.com"}, "MLTRAIL_EXTERNAL_URL must name"),
        ({"MLTRAIL_DATABASE_URL": "postgresql://db/x"}, "set MLTRAIL_GITLAB_URL to serve a team"),
        ({"MLTRAIL_EXTERNAL_URL": "https://mltrail.example.com"}, "this machine only"),
        ({"MLTRAIL_ARTIFACTS": "gs://bucket/prefix"}, "must be a folder or s3://bucket/prefix"),
        ({"MLTRAIL_FOLDER_SYNC": "yes"}, "MLTRAIL_FOLDER_SYNC must be on or off"),
        ({"MLTRAIL_ARTIFACTS": "s3:///prefix"}, "names no bucket"),
        ({"MLTRAIL_S3_ENDPOINT_URL": "https://minio.example.com"}, "MLTRAIL_ARTIFACTS is not s3"),
        ({"MLTRAIL_ARTIFACTS": "s3://b", "MLTRAIL_S3_ENDPOINT_URL": "minio:9000"}, "must be an http or https URL"),
        ({"MLTRAIL_ARTIFACTS": "s3://b", "MLTRAIL_S3_DIRECT": "on"}, "asked, announced or off"),
    ],
)
def test_a_mistake_says_how_to_fix_it(environment: dict[str, str], says: str) -> None:
    with pytest.raises(MltrailError, match=says):
        Settings.from_environment(environment)


@pytest.mark.parametrize("url", ["s3://bucket", "s3://bucket/"])
def test_a_bucket_needs_no_prefix(url: str) -> None:
    assert Settings(artifacts=url).s3_place == ("bucket", "")
    assert Settings(artifacts=f"{url.rstrip('/')}/a/b/").s3_place == ("bucket", "a/b")


def test_a_child_process_gets_the_same_settings(tmp_path: Path) -> None:
    settings = Settings(data_dir=str(tmp_path)).with_kept_secrets()
    assert Settings.from_environment(settings.to_environment()) == settings


SECRETS = [one.metadata["variable"] for one in fields(Settings) if one.metadata["secret"]]


def test_every_secret_can_be_in_a_file(tmp_path: Path) -> None:
    values = {name: f"postgresql://u:hush@{name}/x" if "DATABASE" in name else f"hush-{name}" for name in SECRETS}
    values["MLTRAIL_GITLAB_TOKENS"] = "group=hush"
    for name, value in values.items():
        (tmp_path / name).write_text(f"{value}\n")
    in_files = {f"{name}_FILE": str(tmp_path / name) for name in values}
    assert Settings.from_environment(TEAM | in_files) == Settings.from_environment(TEAM | values)


def test_a_key_in_a_file_keeps_its_lines(tmp_path: Path) -> None:
    pem = "-----BEGIN PRIVATE KEY-----\nMC4=\n-----END PRIVATE KEY-----"
    (tmp_path / "key").write_text(f"{pem}\n")
    read = Settings.from_environment(TEAM | {"MLTRAIL_SIGNING_KEY_FILE": str(tmp_path / "key")})
    assert read.signing_key == pem


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "can't be read: No such file or directory"),
        (b"", "is empty"),
        (b" \n", "is empty"),
        (b"\xffhush", "contains no text"),
        (b"hush" * 20_000, "is too large for a secret"),
        (b"hu\nsh", "contains a line break"),
        (b'"hush"', "is in quotes"),
    ],
)
def test_a_file_without_a_secret_is_refused_by_the_variables_name(
    tmp_path: Path, content: bytes | None, says: str
) -> None:
    if content is not None:
        (tmp_path / "token").write_bytes(content)
    with pytest.raises(MltrailError, match=f"MLTRAIL_GITLAB_TOKEN.*{says}") as caught:
        Settings.from_environment(TEAM | {"MLTRAIL_GITLAB_TOKEN_FILE": str(tmp_path / "token")})
    assert "hush" not in caught.value.message


def test_a_folder_is_no_secret(tmp_path: Path) -> None:
    with pytest.raises(MltrailError, match=r"MLTRAIL_GITLAB_TOKEN_FILE names .*, which can't be read: Is a directory"):
        Settings.from_environment(TEAM | {"MLTRAIL_GITLAB_TOKEN_FILE": str(tmp_path)})


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(MltrailError, match=r"MLTRAIL_GITLAB_TOKEN_FILE names .*, which is a pipe and not a file"):
        Settings.from_environment(TEAM | {"MLTRAIL_GITLAB_TOKEN_FILE": str(tmp_path / "pipe")})


def test_more_than_a_secret_is_not_read() -> None:
    with pytest.raises(MltrailError, match="which is too large for a secret"):
        Settings.from_environment(TEAM | {"MLTRAIL_GITLAB_TOKEN_FILE": "/dev/zero"})


def test_a_secret_in_place_of_its_files_name_is_not_shown() -> None:
    with pytest.raises(MltrailError, match="MLTRAIL_GITLAB_TOKEN_FILE must be the absolute path") as caught:
        Settings.from_environment(TEAM | {"MLTRAIL_GITLAB_TOKEN_FILE": "glpat-hush"})
    assert "hush" not in caught.value.message


def test_a_secret_comes_from_one_place(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("hush")
    in_file = {"MLTRAIL_GITLAB_TOKEN_FILE": str(tmp_path / "token")}
    with pytest.raises(MltrailError, match="MLTRAIL_GITLAB_TOKEN and MLTRAIL_GITLAB_TOKEN_FILE are both set"):
        Settings.from_environment(TEAM | in_file | {"MLTRAIL_GITLAB_TOKEN": "hash"})
    assert Settings.from_environment(TEAM | in_file | {"MLTRAIL_GITLAB_TOKEN": ""}).gitlab_token == "hush"
    assert Settings.from_environment(TEAM | {"MLTRAIL_GITLAB_TOKEN_FILE": ""}).gitlab_token == ""


def test_only_secrets_are_in_files(tmp_path: Path) -> None:
    with pytest.raises(MltrailError, match="unknown setting MLTRAIL_EXTERNAL_URL_FILE; only secrets can be in files"):
        Settings.from_environment(TEAM | {"MLTRAIL_EXTERNAL_URL_FILE": str(tmp_path)})


def test_a_child_process_gets_secrets_from_files(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("hush\n")
    environment = TEAM | {"MLTRAIL_GITLAB_TOKEN_FILE": str(tmp_path / "token"), "PATH": "/bin"}
    settings = Settings.from_environment(environment).with_kept_secrets()
    settings.export(environment)
    (tmp_path / "token").unlink()
    assert Settings.from_environment(environment) == settings
    assert environment["PATH"] == "/bin"


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


TEAM = {"MLTRAIL_GITLAB_URL": "https://gitlab.example.com", "MLTRAIL_EXTERNAL_URL": "https://mltrail.example.com"}
AROUND = ["\n", "\r\n", " ", "\t", "\u00a0", "\ufeff", "\u200b", "\n\n \t", "\x0b", "\u2028", "\x85"]
QUOTES = [('"', '"'), ("'", "'"), ("“", "”"), ("\u2018", "\u2019"), ("„", "“"), ("«", "»"), ("`", "`")]
INSIDE = ["\n", "\r", "\0", "\t", "\x1b", "\x7f", "\u2028", "\u200b", "\u202e", "\ufeff"]
VALUES = {
    "MLTRAIL_DATA_DIR": "/data",
    "MLTRAIL_DATABASE_URL": "postgresql://u:hush@db/x",
    "MLTRAIL_DATABASE_REPLICA_URL": "postgresql://u:hush@replica/x",
    "MLTRAIL_ARTIFACTS": "s3://bucket/prefix",
    "MLTRAIL_S3_ENDPOINT_URL": "https://minio.example.com",
    "MLTRAIL_S3_DIRECT": "off",
    "MLTRAIL_FOLDER_SYNC": "on",
    "MLTRAIL_SQLITE_SYNCHRONOUS": "full",
    "MLTRAIL_EXTERNAL_URL": "https://mltrail.example.com",
    "MLTRAIL_GITLAB_URL": "https://gitlab.example.com",
    "MLTRAIL_GITLAB_TOKEN": "glpat-hush",
    "MLTRAIL_GITLAB_TOKENS": "group=glpat-hush, other/group=glpat-hash",
    "MLTRAIL_OIDC_ISSUER": "https://gitlab.example.com",
    "MLTRAIL_ALLOWED_NAMESPACES": "group, other",
    "MLTRAIL_OAUTH_CLIENT_ID": "hush",
    "MLTRAIL_OAUTH_CLIENT_SECRET": "gloas-hush",
    "MLTRAIL_WEBHOOK_SECRET": "hush hush",
    "MLTRAIL_REFUSE_FINISHED_JOBS": "off",
    "MLTRAIL_PROMOTED_RUNS": "open",
    "MLTRAIL_INVALID_CONTRACT": "fail",
    "MLTRAIL_KEEP_LOSERS": "30d",
    "MLTRAIL_QUOTA_BYTES": "1000",
    "MLTRAIL_QUOTA_CANDIDATES": "10",
    "MLTRAIL_QUOTA_METRIC_POINTS": "10",
    "MLTRAIL_METRICS_TOKEN": "hush",
    "MLTRAIL_LOCAL_TOKEN": "hush",
    "MLTRAIL_SECRET_KEY": "hush hush",
}


@pytest.mark.parametrize("variable", VALUES)
def test_blanks_and_line_breaks_around_a_value_are_no_part_of_it(variable: str) -> None:
    needed = TEAM | ({"MLTRAIL_DATABASE_URL": VALUES["MLTRAIL_DATABASE_URL"]} if "REPLICA" in variable else {})
    needed |= {"MLTRAIL_ARTIFACTS": VALUES["MLTRAIL_ARTIFACTS"]} if "S3" in variable else {}
    plain = Settings.from_environment(needed | {variable: VALUES[variable]})
    for one in AROUND:
        for value in (one + VALUES[variable], VALUES[variable] + one, one + VALUES[variable] + one):
            assert Settings.from_environment(needed | {variable: value}) == plain
        if variable not in needed:
            assert Settings.from_environment(needed | {variable: one}) == Settings.from_environment(needed)


@pytest.mark.parametrize("variable", VALUES)
def test_a_value_that_cannot_be_meant_is_refused_by_the_variables_name(variable: str) -> None:
    value = VALUES[variable]
    inside = [value[:3] + odd + value[3:] for odd in INSIDE] if len(value) > 3 else []
    for wrong in (*(f"{left}{value}{right}" for left, right in QUOTES), *inside):
        with pytest.raises(MltrailError, match=variable) as caught:
            Settings.from_environment(TEAM | {variable: wrong})
        assert "hush" not in caught.value.message


@pytest.mark.parametrize("inside", [" ", "\u00a0", "ü", "”"])
@pytest.mark.parametrize("variable", ["MLTRAIL_GITLAB_TOKEN", "MLTRAIL_METRICS_TOKEN", "MLTRAIL_OAUTH_CLIENT_SECRET"])
def test_a_token_is_one_word(variable: str, inside: str) -> None:
    with pytest.raises(MltrailError, match=f"{variable} contains a space or a character that no token has") as caught:
        Settings.from_environment(TEAM | {variable: f"hu{inside}sh"})
    assert "sh" not in caught.value.message.replace(variable, "").split()


def test_a_key_in_pem_keeps_its_lines() -> None:
    pem = "-----BEGIN PRIVATE KEY-----\nMC4=\n-----END PRIVATE KEY-----"
    assert Settings.from_environment(TEAM | {"MLTRAIL_SIGNING_KEY": f"{pem}\n"}).signing_key == pem


@pytest.mark.parametrize(
    "url",
    [
        "https://",
        "https:///x",
        "https://h:x",
        "https://h/a?b",
        "https://h/#a",
        "https://u:p@h",
        "https://h/a//b",
        "https://h/../a",
        "https://[::1",
    ],
)
def test_an_external_url_is_a_host_and_perhaps_a_path(url: str) -> None:
    with pytest.raises(MltrailError, match="MLTRAIL_EXTERNAL_URL") as caught:
        Settings.from_environment(TEAM | {"MLTRAIL_EXTERNAL_URL": url})
    assert "u:p" not in caught.value.message


@pytest.mark.parametrize("content", ["", "\n", "\x00\x01", "ü"])
def test_a_kept_secret_that_is_none_is_no_secret(tmp_path: Path, content: str) -> None:
    (tmp_path / "secret-key").write_text(content)
    with pytest.raises(MltrailError, match="contains no usable secret"):
        Settings(data_dir=str(tmp_path)).with_kept_secrets()


FOLDERS = [
    "a?b",
    "a#b",
    "a%b",
    "a%20b",
    "%2e%2e",
    "a b",
    " a",
    "ü",
    "模型",
    "a&b=c",
    "a;b",
    "a'b",
    'a"b',
    "a@b",
    "a:b",
    "?",
    "%",
    "[a]",
    "~",
    "a\\b",
]


@pytest.mark.parametrize("name", FOLDERS)
def test_a_data_folder_may_have_any_name(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name / "data"
    made = create_deps(Settings(data_dir=str(folder)))
    made.db.ping()
    mlflow = Mlflow(create_app(made).test_client(), token=made.settings.local_token)
    run = mlflow.post("runs/create", experiment_id="0")["run"]["info"]["run_id"]
    good(mlflow.call("PUT", f"api/2.0/mlflow-artifacts/artifacts/0/{run}/artifacts/a.txt", data=b"x"))
    made.db.dispose()
    assert (folder / "mltrail.db").is_file()
    assert is_set_up(made.settings.database)
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("variable", ["MLTRAIL_GITLAB_URL", "MLTRAIL_OIDC_ISSUER"])
def test_a_url_that_messages_name_holds_no_password(variable: str) -> None:
    with pytest.raises(MltrailError, match=f"{variable} must be a URL without a user name or password") as caught:
        Settings.from_environment(TEAM | {variable: "https://user:hush@gitlab.example.com"})
    assert "hush" not in caught.value.message
