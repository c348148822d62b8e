"""deploy/compose/compose.yaml, as far as it can be read: docs/how-to/run-with-compose.md."""

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import yaml

from mltrail_server.cli import parser_of_all
from mltrail_server.services.admin.new_server import Answers, Form, Tls, groups_of, missing
from mltrail_server.settings import Settings
from mltrail_server.settings.env_file import written
from tests.processes import PATIENCE_SECONDS

FOLDER = Path(__file__).parents[2] / "deploy/compose"
FILE = FOLDER / "compose.yaml"
OWN = ("web", "worker", "migrate", "backup")
"""The services that run our image."""

_VARIABLE = re.compile(r"\$\{(\w+)(:[-?])?")
_FROM_GITLAB = {
    "MLTRAIL_GITLAB_TOKEN",
    "MLTRAIL_GITLAB_TOKENS",
    "MLTRAIL_OAUTH_CLIENT_ID",
    "MLTRAIL_OAUTH_CLIENT_SECRET",
}
_OF_BOTO3 = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION"}


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load(FILE.read_text())
    return read


@pytest.fixture(scope="module")
def env() -> dict[str, str]:
    """What `mltrail-server init` writes, without what comes from GitLab."""
    answers = Answers(
        form=Form.COMPOSE,
        gitlab_url="https://gitlab.example.com",
        external_url="https://mltrail.example.com/tracking",
        groups=("team",),
        image="registry.example.com/mltrail/server:0.1.0",
        tls=Tls.INTERNAL,
    )
    values: dict[str, str] = {}
    for group in groups_of(answers):
        values |= missing(group, values)
    return values


def test_it_keeps_to_the_compose_specification() -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(FILE)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE_SECONDS)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_variable_that_must_be_set_is_in_the_file_that_init_writes(env: dict[str, str]) -> None:
    asked = dict(_VARIABLE.findall(FILE.read_text()))
    assert {name for name, how in asked.items() if how != ":-"} <= env.keys()
    documented = (Path(__file__).parents[2] / "docs/how-to/run-with-compose.md").read_text()
    assert [name for name in asked if name not in env and name not in documented] == []


def test_every_variable_of_the_file_is_used(env: dict[str, str]) -> None:
    known = {one.metadata["variable"] for one in fields(Settings)} | _OF_BOTO3
    asked = {name for name, _ in _VARIABLE.findall(FILE.read_text())}
    assert [name for name in env if name not in known and name not in asked] == []
    assert known >= _FROM_GITLAB


def test_the_servers_settings_are_settings(compose: dict[str, Any], env: dict[str, str]) -> None:
    for name in OWN:
        service = compose["services"][name]
        assert service["env_file"] == ".env"
        given = {k: v for k, v in (env | service["environment"]).items() if k.startswith("MLTRAIL_")}
        settings = Settings.from_environment(given)
        assert settings.s3_direct == "off"
        others = {"POSTGRES_PASSWORD", "GARAGE_RPC_SECRET"}
        assert all(service["environment"][secret] == "" for secret in others), "it does not need them"


def test_the_file_is_read_alike_by_compose_and_systemd(env: dict[str, str]) -> None:
    """Without quotes only if no character means anything special to either, else in single quotes."""
    for name, value in env.items():
        assert re.fullmatch(r"[\w./:@,+=%~?&-]*|'[^'\n]*'", written(name, value)), name


@pytest.mark.parametrize(
    ("external_url", "tls", "expected"),
    [
        ("https://mltrail.example.com", Tls.AUTOMATIC, {"PROXY_SITE": "https://mltrail.example.com"}),
        ("https://x.example.com:8443/a", Tls.OWN, {"PROXY_SITE": "https://x.example.com", "PROXY_HTTPS_PORT": "8443"}),
        ("https://mltrail.example.com/a", Tls.OFF, {"PROXY_SITE": ":80"}),
    ],
)
def test_the_proxy_serves_the_host_of_the_external_url(external_url: str, tls: Tls, expected: dict[str, str]) -> None:
    gitlab = "https://gitlab.example.com"
    answers = Answers(form=Form.COMPOSE, gitlab_url=gitlab, external_url=external_url, groups=("team",), tls=tls)
    made = missing(groups_of(answers)[-1], {})
    assert {name: made[name] for name in made if name.startswith("PROXY_") and name != "PROXY_TLS"} == expected


def test_the_services_agree_on_keys_and_places(compose: dict[str, Any], env: dict[str, str]) -> None:
    services = compose["services"]
    database = services["postgres"]["environment"]
    password = env["POSTGRES_PASSWORD"]
    user, name = database["POSTGRES_USER"], database["POSTGRES_DB"]
    assert env["MLTRAIL_DATABASE_URL"] == f"postgresql://{user}:{password}@postgres:5432/{name}"
    store = services["s3"]["environment"]
    garage = tomllib.loads((FOLDER / "garage.toml").read_text())
    assert env["MLTRAIL_ARTIFACTS"].startswith(f"s3://{store['GARAGE_DEFAULT_BUCKET']}/")
    assert env["AWS_DEFAULT_REGION"] == garage["s3_api"]["s3_region"]
    assert env["MLTRAIL_S3_ENDPOINT_URL"].rpartition(":")[2] == garage["s3_api"]["api_bind_addr"].rpartition(":")[2]
    assert re.fullmatch(r"GK[0-9a-f]{32}", env["AWS_ACCESS_KEY_ID"])
    assert {garage["metadata_dir"], garage["data_dir"]} <= {one.split(":")[1] for one in services["s3"]["volumes"]}


def test_our_commands_exist(compose: dict[str, Any]) -> None:
    for name in OWN:
        command = [re.sub(r"\$\{\w+:-(.*?)\}", r"\1", word) for word in compose["services"][name]["command"]]
        parser_of_all().parse_args(command)


@pytest.mark.parametrize("name", ["proxy", "web", "worker", "migrate", "backup", "postgres", "s3"])
def test_every_service_is_confined(compose: dict[str, Any], name: str) -> None:
    service = compose["services"][name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service.get("cap_add", []) == (["NET_BIND_SERVICE"] if name == "proxy" else [])
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["mem_limit"]
    assert service["pids_limit"]
    assert service["logging"]["options"].keys() == {"max-size", "max-file"}
    assert any(one.startswith("/tmp") for one in service["tmpfs"])
    once = name in ("migrate", "backup")
    assert service["restart"] == ("no" if once else "unless-stopped")
    assert once or service["healthcheck"]["test"][0] == "CMD"
    if name in OWN:
        assert service["user"] == "10001:10001"
    else:
        assert re.fullmatch(r"docker\.io/[\w/]+:v?\d+[\d.]*", service["image"])


def test_only_the_proxy_can_be_reached_and_the_database_reaches_nobody(compose: dict[str, Any]) -> None:
    services = compose["services"]
    assert [name for name, one in services.items() if "ports" in one] == ["proxy"]
    assert compose["networks"]["inside"] == {"internal": True}
    assert [name for name, one in services.items() if one["networks"] == ["inside"]] == ["migrate", "postgres", "s3"]
    assert services["proxy"]["networks"] == ["outside"]


def test_the_schema_is_migrated_before_anything_serves(compose: dict[str, Any]) -> None:
    for name in ("web", "worker"):
        assert compose["services"][name]["depends_on"] == {
            "migrate": {"condition": "service_completed_successfully"},
            "postgres": {"condition": "service_healthy"},
            "s3": {"condition": "service_healthy"},
        }


def test_what_is_named_exists(compose: dict[str, Any]) -> None:
    mounted = list(_mounted(compose))
    named = {one for one in mounted if not one.startswith((".", "$"))}
    assert named | {"backups"} == set(compose["volumes"])
    files = {one for one in mounted if one.startswith("./")} - {"./certificates"}
    assert [one for one in files if not (FOLDER / one).is_file()] == []


def _mounted(compose: dict[str, Any]) -> Iterator[str]:
    for service in compose["services"].values():
        yield from (re.sub(r"\$\{\w+:-(\w+)\}", r"\1", one).split(":")[0] for one in service["volumes"])


def test_git_ignores_the_secrets() -> None:
    done = subprocess.run(
        ["git", "-C", str(FOLDER), "check-ignore", ".env", "certificates/tls.key"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.split() == [".env", "certificates/tls.key"]
