"""`mltrail-server init`: docs/how-to/run-with-compose.md and docs/how-to/install.md."""

import fcntl
import os
import pty
import re
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests

from mltrail_server import cli
from mltrail_server.services.admin.new_server import Answers, Form
from mltrail_server.services.admin.provision import Provision
from mltrail_server.services.promotion.provenance import signer
from mltrail_server.settings import Settings
from mltrail_server.settings.env_file import EnvFile
from tests.fakes.gitlab import FakeGitLab, Group, User
from tests.processes import PATIENCE_SECONDS, free_port

EXTERNAL_URL = "https://mltrail.example.com"
WEBHOOK = f"{EXTERNAL_URL}/api/webhooks/gitlab"
IMAGE = "registry.example.com/mlops/mltrail/server:0.1.0"


class Installation:
    """An empty folder, a GitLab with one group and its owner, and who runs the command there."""

    def __init__(self, gitlab: FakeGitLab, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.gitlab = gitlab
        self.folder = folder
        self.owner: User = gitlab.add_user("owner")
        self.group: Group = gitlab.add_group("team", self.owner)
        self.project = gitlab.add_project("team/churn", id=42)
        gitlab.add_commit(self.project, "a1" * 20, branch="main")
        self.token_file = folder / "token"
        self.sign_in_as(self.owner)
        self._capsys = capsys

    def sign_in_as(self, user: User, *scopes: str) -> None:
        self.token = self.gitlab.add_token(user, list(scopes or ("api",)))
        self.token_file.write_text(self.token + "\n")

    @property
    def file(self) -> Path:
        return self.folder / ".env"

    @property
    def values(self) -> dict[str, str]:
        return EnvFile.read(self.file).values

    def errors(self) -> str:
        return self._capsys.readouterr().err

    def init(self, *arguments: str, form: str = "compose", group: str = "team", code: int = 0) -> str:
        """Run it, and return what it prints; it must end with this code."""
        given = ["init", "--for", form, "--file", str(self.file), "--gitlab-url", self.gitlab.url]
        given += ["--external-url", EXTERNAL_URL, "--group", group, *(["--image", IMAGE] if form == "compose" else [])]
        token = [] if "--without-token" in arguments else ["--token-file", str(self.token_file)]
        found = cli.main([*given, *token, *arguments])
        said = "".join(self._capsys.readouterr())
        assert found == code, said
        return said


@pytest.fixture
def here(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Installation]:
    with FakeGitLab() as gitlab:
        yield Installation(gitlab, tmp_path, capsys)


@pytest.fixture
def administrator(here: Installation) -> User:
    user = here.gitlab.add_user("root")
    user.admin = True
    here.sign_in_as(user)
    return user


def test_an_administrator_gets_everything(here: Installation, administrator: User) -> None:
    here.gitlab.premium = True
    said = here.init("--project", "team/churn")
    values = here.values
    (application,) = here.gitlab.applications.values()
    assert (values["MLTRAIL_OAUTH_CLIENT_ID"], values["MLTRAIL_OAUTH_CLIENT_SECRET"]) == (
        application.client_id,
        application.secret,
    )
    assert application.redirect_uri == f"{EXTERNAL_URL}/-/sign-in/callback"
    assert application.scopes == ["openid", "read_api"]
    (bot,) = here.group.tokens
    assert (values["MLTRAIL_GITLAB_TOKEN"], bot.token.scopes, bot.access_level) == (bot.token.text, ["api"], 30)
    assert bot.expires_at in said
    assert date.fromisoformat(bot.expires_at) - datetime.now(UTC).date() >= timedelta(days=363)
    (hook,) = here.group.hooks.values()
    assert (hook.url, hook.token) == (WEBHOOK, values["MLTRAIL_WEBHOOK_SECRET"])
    assert "passed" in said  # the self-test
    assert "1. Point mltrail.example.com to this machine" in said
    assert administrator.username in said


@pytest.mark.parametrize("form", ["compose", "systemd"])
def test_the_file_holds_what_the_server_needs_and_nobody_else_can_read_it(here: Installation, form: str) -> None:
    here.init(form=form)
    assert stat.S_IMODE(here.file.stat().st_mode) == 0o600
    settings = Settings.from_environment({k: v for k, v in here.values.items() if k.startswith("MLTRAIL_")})
    assert (settings.gitlab_url, settings.external_url) == (here.gitlab.url, EXTERNAL_URL)
    assert settings.namespaces == ["team"]
    assert settings.database.startswith("postgresql://")
    assert signer(settings) is not None
    long = [settings.secret_key, settings.metrics_token, settings.webhook_secret]
    assert all(len(one) >= 32 for one in long)
    assert len(set(long)) == 3
    assert (settings.s3_place is not None) == (form == "compose")


def test_no_secret_is_shown_and_the_token_is_not_kept(here: Installation, administrator: User) -> None:
    del administrator
    here.gitlab.premium = True
    said = here.init("--project", "team/churn")
    text = here.file.read_text()
    secret = [v for k, v in here.values.items() if re.search(r"TOKEN|SECRET|PASSWORD|KEY|DATABASE", k)]
    assert len(secret) >= 9
    assert [one for one in secret if one in said] == []
    assert here.token not in said
    assert here.token not in text


def test_run_again_it_changes_nothing(here: Installation, administrator: User) -> None:
    del administrator
    here.gitlab.premium = True
    here.init()
    before = here.file.read_text()
    said = here.init()
    assert here.file.read_text() == before
    assert "complete" in said
    assert "which expires on" in said
    assert (len(here.gitlab.applications), len(here.group.tokens), len(here.group.hooks)) == (1, 1, 1)


def test_it_fills_in_only_what_is_missing(here: Installation) -> None:
    here.file.write_text("# mine\nMLTRAIL_SECRET_KEY='keep me, $HOME'\nMLTRAIL_METRICS_TOKEN=\nMLTRAIL_QUOTA_BYTES=5\n")
    here.init()
    text = here.file.read_text()
    assert text.startswith("# mine\nMLTRAIL_SECRET_KEY='keep me, $HOME'\nMLTRAIL_METRICS_TOKEN=")
    assert "MLTRAIL_QUOTA_BYTES=5\n" in text
    assert here.values["MLTRAIL_METRICS_TOKEN"]
    assert text.count("MLTRAIL_METRICS_TOKEN") == 1


def test_an_owner_of_the_group_is_told_what_is_left(here: Installation) -> None:
    said = here.init()
    assert "MLTRAIL_GITLAB_TOKEN" in here.values
    assert "MLTRAIL_OAUTH_CLIENT_ID" not in here.values
    assert (
        f"at {here.gitlab.url}/groups/team/-/settings/applications with redirect URI {EXTERNAL_URL}/-/sign-in" in said
    )
    assert "An administrator's token could do this" in said
    assert f"{here.gitlab.url}/groups/team/-/hooks, add {WEBHOOK}" in said
    assert "this GitLab or this token allows no group webhooks" in said


def test_a_member_who_is_no_owner_has_to_ask_one(here: Installation) -> None:
    here.sign_in_as(here.gitlab.add_user("developer"))
    said = here.init(code=1)
    assert "MLTRAIL_GITLAB_TOKEN" not in here.values
    assert f"named 'mltrail (mltrail.example.com)', role Developer, scope api, at {here.gitlab.url}/groups/team" in said


def test_without_a_token_everything_is_listed(here: Installation) -> None:
    said = here.init("--without-token", code=1)
    assert here.values["MLTRAIL_SECRET_KEY"]
    assert [line[:9] for line in said.splitlines() if re.match(r"\d\. ", line)] == [
        "1. Needed",
        "2. For a ",
        "3. Webhoo",
        "4. Point ",
        "5. Start ",
        "6. Test i",
    ]


def test_what_gitlab_does_not_accept_is_quoted(here: Installation) -> None:
    assert "Expires at must expire in 365 days" in here.init("--bot-days", "400", code=1)
    assert here.group.tokens == []


def test_a_second_group_gets_a_bot_of_its_own(here: Installation) -> None:
    here.init()
    first = here.values["MLTRAIL_GITLAB_TOKEN"]
    other = here.gitlab.add_group("research/vision", here.owner)
    here.init(group="research/vision")
    assert here.values["MLTRAIL_GITLAB_TOKEN"] == first
    assert here.values["MLTRAIL_GITLAB_TOKENS"] == f"research/vision={other.tokens[0].token.text}"
    assert here.values["MLTRAIL_ALLOWED_NAMESPACES"] == "team,research/vision"
    assert here.file.read_text().count("MLTRAIL_ALLOWED_NAMESPACES") == 1


def test_a_secret_in_a_file_of_its_own_stays_there(here: Installation) -> None:
    """The server refuses to have both."""
    (here.folder / "bot").write_text(here.gitlab.add_token(here.owner, ["api"]))
    here.file.write_text(
        f"MLTRAIL_GITLAB_TOKEN_FILE={here.folder / 'bot'}\nMLTRAIL_SECRET_KEY_FILE={here.token_file}\n"
    )
    said = here.init("--renew-bot-token")
    assert "in the file that MLTRAIL_GITLAB_TOKEN_FILE names" in said
    assert here.values.keys().isdisjoint({"MLTRAIL_GITLAB_TOKEN", "MLTRAIL_SECRET_KEY"})
    assert here.group.tokens == []


def test_a_bots_token_is_renewed_only_on_request(here: Installation) -> None:
    here.init()
    old = here.group.tokens[0]
    said = here.init("--renew-bot-token")
    assert here.values["MLTRAIL_GITLAB_TOKEN"] == here.group.tokens[1].token.text
    assert not old.token.revoked  # the server still runs with it
    assert f"revoke the old one of the same name (ID {old.id}" in said


def test_a_bots_token_that_ends_soon_or_has_ended_is_named(here: Installation) -> None:
    here.init("--bot-days", "20")
    assert f"expires on {here.group.tokens[0].expires_at}: run this again with --renew-bot-token" in here.init()
    here.group.tokens[0].token.revoked = True
    assert "GitLab does not accept the bot's token for team: add --renew-bot-token" in here.init(code=1)


def test_a_lost_file_leaves_nothing_unsaid(here: Installation, administrator: User) -> None:
    """GitLab tells secrets once. What another file had is found by name, and not doubled without a word."""
    del administrator
    here.gitlab.premium = True
    here.init()
    here.file.unlink()
    said = here.init()
    assert len(here.gitlab.applications) == 1
    assert f"renew the secret at {here.gitlab.url}/admin/applications/1" in said
    assert f"revoke the old one of the same name (ID {here.group.tokens[0].id}" in said
    (hook,) = here.group.hooks.values()
    assert hook.token == here.values["MLTRAIL_WEBHOOK_SECRET"]
    assert "gave the new secret to the webhook" in said


@pytest.mark.parametrize("undone", [True, False])
def test_a_token_that_cannot_be_saved_is_revoked_or_named(
    here: Installation, monkeypatch: pytest.MonkeyPatch, *, undone: bool
) -> None:
    write = EnvFile.write

    def full(file: EnvFile) -> None:
        if "MLTRAIL_GITLAB_TOKEN" in file.values:
            raise OSError(28, "No space left on device")
        write(file)

    monkeypatch.setattr(EnvFile, "write", full)
    if not undone:
        here.gitlab.fail_next("DELETE", "access_tokens", 503)
    said = here.init(code=2)
    assert "No space left on device" in said
    assert here.group.tokens[0].token.revoked == undone
    assert ("delete the access token 'mltrail (mltrail.example.com)' at" in said) == (not undone)


def test_two_at_once_do_not_replace_each_others_secrets(here: Installation) -> None:
    folder = os.open(here.folder, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        assert "Another mltrail-server init is writing" in here.init(code=2)
    finally:
        os.close(folder)
    assert here.gitlab.requests == []
    here.init()


@pytest.mark.parametrize("body", ["null", "[]", "[1]", "[null]", '{"id": null}', "<html>", '{"id": 1, "token": null}'])
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/personal_access_tokens/self"),
        ("GET", "/user"),
        ("GET", "/access_tokens"),
        ("POST", "/access_tokens"),
        ("GET", "/applications"),
        ("POST", "/applications"),
        ("GET", "/hooks"),
    ],
)
def test_what_gitlab_never_answers_is_said_in_a_sentence(
    here: Installation, administrator: User, monkeypatch: pytest.MonkeyPatch, method: str, path: str, body: str
) -> None:
    del administrator
    send = requests.adapters.HTTPAdapter.send

    def changed(
        self: requests.adapters.HTTPAdapter, request: requests.PreparedRequest, **options: Any
    ) -> requests.Response:
        answer = send(self, request, **options)
        if request.method == method and (request.url or "").partition("?")[0].endswith(path):
            assert answer.content is not None  # read, so that the connection is free again
            answer._content = body.encode()
            answer.headers["Content-Type"] = "application/json"
        return answer

    monkeypatch.setattr(requests.adapters.HTTPAdapter, "send", changed)
    given = ["init", "--for", "systemd", "--file", str(here.file), "--gitlab-url", here.gitlab.url, "--group", "team"]
    code = cli.main([*given, "--external-url", EXTERNAL_URL, "--token-file", str(here.token_file)])
    assert code in (0, 2)  # an empty list is an answer
    assert code == 0 or "GitLab" in here.errors()
    assert "None" not in here.values.values()


def test_a_gitlab_that_fails_half_way_is_finished_by_the_next_run(here: Installation, administrator: User) -> None:
    del administrator
    here.gitlab.fail_next("POST", "/applications", 503)
    said = here.init(code=2)
    assert "created the access token" in said
    assert "GitLab is not responding" in said
    here.init()
    assert len(here.group.tokens) == 1
    assert len(here.gitlab.applications) == 1


def test_a_dry_run_changes_nothing(here: Installation, administrator: User) -> None:
    del administrator
    here.gitlab.premium = True
    said = here.init("--dry-run")
    assert not here.file.exists()
    assert here.gitlab.applications == {}
    assert (here.group.tokens, here.group.hooks) == ([], {})
    for line in ("would set MLTRAIL_GITLAB_URL", "would create the access token", "would create the OAuth application"):
        assert line in said
    assert [method for method, _ in here.gitlab.requests if method != "GET"] == []


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--external-url", "https://mltrail.example.com/a#b"], "MLTRAIL_EXTERNAL_URL"),
        (["--external-url", "http://mltrail.example.com"], "add --tls off"),
        (["--bot-days", "0"], "--bot-days must be from 1 to 400"),
        (["--database", "postgresql://db/x"], "--database and --artifacts are for systemd"),
    ],
)
def test_wrong_use_is_refused_before_anything_happens(here: Installation, arguments: list[str], says: str) -> None:
    assert says in here.init(*arguments, code=2)
    assert not here.file.exists()
    assert here.gitlab.requests == []


def test_a_group_that_does_not_exist_is_named_before_it_gets_into_the_file(here: Installation) -> None:
    said = here.init(group="taem", code=2)
    assert "GitLab has no group taem, or does not show it to owner" in said
    assert not here.file.exists()


def test_a_password_is_not_taken_from_the_command_line(here: Installation) -> None:
    said = here.init("--database", "postgresql://mltrail:hush@db/mltrail", form="systemd", code=2)
    assert "which everybody on this machine can see" in said
    assert "hush" not in said


def test_a_token_without_the_scope_is_refused(here: Installation) -> None:
    here.sign_in_as(here.owner, "read_api")
    assert "The token of owner has read_api; it needs the scope api." in here.init(code=2)
    here.token_file.write_text("glpat-wrong")
    assert "GitLab does not know this token" in here.init(code=2)


def test_a_gitlab_that_is_none_is_not_written_down(here: Installation, tmp_path: Path) -> None:
    nobody = f"http://127.0.0.1:{free_port()}"
    given = ["init", "--for", "systemd", "--file", str(here.file), "--gitlab-url", nobody, "--group", "team"]
    assert cli.main([*given, "--external-url", EXTERNAL_URL, "--token-file", str(tmp_path / "token")]) == 2
    assert f"The discovery page of {nobody}" in here.errors()
    assert not here.file.exists()


def test_another_url_than_the_files_is_refused(here: Installation) -> None:
    here.init()
    said = here.init("--external-url", "https://other.example.com", code=2)
    assert f"already has MLTRAIL_EXTERNAL_URL={EXTERNAL_URL}:" in said
    assert "already has PROXY_TLS=automatic:" in here.init("--tls", "own", code=2)


def test_a_file_that_git_would_commit_is_refused(here: Installation) -> None:
    subprocess.run(["git", "init", "-q", str(here.folder)], check=True)
    assert "add it to .gitignore, or choose another place with --file" in here.init(code=2)
    assert here.gitlab.requests == []
    (here.folder / ".gitignore").write_text(".env\n")
    here.init()


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("A=b # c", "line 1"),
        ("\nA=$HOME", "line 2"),
        ('A="a\\b"', "line 1"),
        ("export A=b", "line 1"),
        ("A=1\nA=2", "A has a value already"),
        ("A='b\\'", "line 1"),
        ("# C:\\\nA=b", "line 1"),
    ],
)
def test_what_compose_and_systemd_would_read_differently_is_refused(here: Installation, line: str, says: str) -> None:
    here.file.write_text(line + "\n")
    said = here.init(code=2)
    assert says in said
    assert here.gitlab.requests == []


def test_missing_answers_are_named_without_a_terminal(
    here: Installation, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["init", "--for", "compose", "--file", str(here.file)]
    wanted = [
        ("--gitlab-url", here.gitlab.url),
        ("--external-url", EXTERNAL_URL),
        ("--group", "team"),
        ("--image", IMAGE),
        ("--token-file", str(here.token_file)),
    ]
    with Path(os.devnull).open() as nothing:
        monkeypatch.setattr(sys, "stdin", nothing)
        for option, value in wanted:
            assert cli.main(given) == 2
            assert option in capsys.readouterr().err
            given += [option, value]
        assert cli.main(given) == 0


def test_it_asks_at_a_terminal_and_does_not_echo_the_token(here: Installation) -> None:
    command = [sys.executable, "-m", "mltrail_server.cli", "init", "--for", "compose", "--file", str(here.file)]
    ours, theirs = pty.openpty()
    process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True)
    os.close(theirs)
    read = _reader(ours)
    for question, answer in (
        ("URL of your GitLab: ", here.gitlab.url),
        ("URL that people and jobs will use: ", f"{EXTERNAL_URL}/"),
        ("Groups that will use it, separated by commas: ", " team/ "),
        ("The server's image, with its version: ", IMAGE),
        ("scope api (empty: none): ", here.token),
    ):
        assert question in read(question)
        os.write(ours, f"{answer}\n".encode())
    said = read("")
    assert process.wait(PATIENCE_SECONDS) == 0, said
    os.close(ours)
    assert here.token not in said
    assert here.values["MLTRAIL_EXTERNAL_URL"] == EXTERNAL_URL


def _reader(terminal: int) -> Callable[[str], str]:
    seen = b""

    def read(until: str) -> str:
        """Read until a text has come; "" until the end."""
        nonlocal seen
        while not until or until.encode() not in seen:
            try:
                piece = os.read(terminal, 4096)  # which may end within a character
            except OSError:  # Linux says so when the other end is closed
                break
            if not piece:
                break
            seen += piece
        return seen.decode()

    return read


def test_the_token_can_come_from_the_environment(here: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITLAB_TOKEN", here.token)
    here.token_file.unlink()
    given = ["init", "--for", "systemd", "--file", str(here.file), "--gitlab-url", here.gitlab.url]
    assert cli.main([*given, "--external-url", EXTERNAL_URL, "--group", "team"]) == 0
    assert here.values["MLTRAIL_DATA_DIR"] == "/var/lib/mltrail"


def test_tokens_that_travel_unencrypted_are_named(tmp_path: Path) -> None:
    answers = Answers(
        form=Form.SYSTEMD, gitlab_url="http://gitlab.example.com", external_url=EXTERNAL_URL, groups=("team",)
    )
    file = EnvFile.read(tmp_path / "none")
    work = Provision(answers, file, "", lambda *_: None, date(2026, 11, 30))
    work.run(new_webhook_secret=False)
    assert "anybody on the way can read tokens" in work.left[0].what
