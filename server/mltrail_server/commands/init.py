"""`mltrail-server init`: write a new server's settings, and create what it needs in GitLab."""

import argparse
import fcntl
import getpass
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from mltrail_server.domain.errors import conflict, invalid
from mltrail_server.domain.terminal import plain
from mltrail_server.settings import Settings
from mltrail_server.settings.env_file import EnvFile

from .arguments import Commands, Parser
from .selftest import report

if TYPE_CHECKING:
    from mltrail_server.services.admin.new_server import Answers
    from mltrail_server.services.admin.provision import Left

TOKEN_VARIABLE = "GITLAB_TOKEN"  # noqa: S105 - a name, which GitLab's own command line has, too
_FILES = {"compose": ".env", "systemd": "/etc/mltrail/mltrail.env"}
_MOST_DAYS = 400
"""GitLab's upper limit, if an administrator has raised it."""
_UNWRITABLE = (
    'The folder {folder} can\'t be written. In a container, run it as yourself: docker run --user "$(id -u):$(id -g)" …'
)
_EPILOG = (
    "What is in the file is kept, and what exists in GitLab is not created again, so you can run this at any time. The "
    f"token is read from --token-file, from the variable {TOKEN_VARIABLE}, or asked for; it is used once and not kept. "
    "Exit code 0: the server can be started; 1: something that it needs is still missing, or the self-test failed; 2: "
    "wrong use, or the command failed."
)


def add(commands: Commands, _: Parser) -> None:
    parser = commands.add_parser(
        "init", help="write a new server's settings, and create what it needs in GitLab", epilog=_EPILOG
    )
    parser.add_argument("--for", dest="form", choices=tuple(_FILES), required=True, help="how the server will be run")
    parser.add_argument(
        "--file", type=Path, metavar="FILE", help=f"settings file (default {' or '.join(_FILES.values())})"
    )
    parser.add_argument("--gitlab-url", metavar="URL", help="your GitLab")
    parser.add_argument("--external-url", metavar="URL", help="the URL that people and jobs will use")
    parser.add_argument(
        "--group",
        action="append",
        metavar="PATH",
        default=[],
        help="a group whose projects can use the server and which gets a bot; can be repeated",
    )
    parser.add_argument(
        "--token-file",
        type=Path,
        metavar="FILE",
        help="file with the token of an administrator of GitLab, or of an owner of the groups",
    )
    parser.add_argument(
        "--without-token", action="store_true", help="create nothing in GitLab, but list what to create"
    )
    parser.add_argument(
        "--bot-days",
        type=int,
        metavar="N",
        help="how long a bot's new token lasts (default 364, about the most that GitLab allows)",
    )
    parser.add_argument(
        "--renew-bot-token", action="store_true", help="replace the bots' tokens in the file with new ones"
    )
    parser.add_argument("--image", metavar="NAME", help="for compose: the server's image, with its version")
    parser.add_argument(
        "--tls",
        choices=("automatic", "internal", "own", "off"),
        help="for compose: certificate from Let's Encrypt (default), from the proxy's own authority, from files, or "
        "none (behind another proxy)",
    )
    parser.add_argument(
        "--database",
        metavar="URL",
        help="for systemd: URL of a PostgreSQL database, without a password (default: this machine's, by its socket)",
    )
    parser.add_argument(
        "--artifacts",
        metavar="PLACE",
        help="for systemd: folder for files, or s3://bucket/prefix (default: in /var/lib/mltrail)",
    )
    parser.add_argument("--project", metavar="PATH", help="test the settings with a sandbox project, by path or ID")
    parser.add_argument(
        "--merge-request", type=int, metavar="IID", help="one of its open merge requests, to write a comment on"
    )
    parser.add_argument("--dry-run", action="store_true", help="show what would be written and created")
    parser.set_defaults(run=run, data_dir=None)  # it needs no data folder


def run(_: Settings, options: argparse.Namespace) -> int:
    path: Path = options.file or Path(_FILES[options.form])
    if options.dry_run:
        return _run(EnvFile.read(path), options)
    _check_place(path)
    with _alone(path):
        return _run(EnvFile.read(path), options)


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Keep a second one out: each would replace the other's secrets, of which GitLab then knows the lost ones, too."""
    folder = os.open(path.resolve().parent, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as error:
        raise conflict(f"Another mltrail-server init is writing {path}; wait until it is done.") from error
    finally:
        os.close(folder)


def _run(file: EnvFile, options: argparse.Namespace) -> int:
    from mltrail_server.services.admin import new_server, provision

    answers = _answers(file, options)
    token = _token(options)

    def save(values: Mapping[str, str], comment: str) -> None:
        file.set(values, comment)
        if not options.dry_run:
            _write(file)

    work = provision.Provision(
        answers,
        file,
        token,
        save,
        datetime.now(UTC).date(),
        bot_days=options.bot_days or provision.DAYS,
        renew_bot_token=options.renew_bot_token,
        dry_run=options.dry_run,
    )
    work.check()
    changed: list[str] = []
    for group in new_server.groups_of(answers):
        if made := new_server.missing(group, file.values):
            save(made, group.comment)
            changed += made
    if file.values["MLTRAIL_ALLOWED_NAMESPACES"] != ",".join(answers.groups):
        save({"MLTRAIL_ALLOWED_NAMESPACES": ",".join(answers.groups)}, new_server.PLACES)
        changed.append("MLTRAIL_ALLOWED_NAMESPACES")
    settings = _settings(file)  # before anything is created
    print(f"{file.path}: {_said(changed, options)}")
    try:
        work.run(new_webhook_secret="MLTRAIL_WEBHOOK_SECRET" in changed)
    finally:
        for line in work.done:
            print(f"GitLab: {plain(line)}")
    settings = _settings(file)
    needed = [one.what for one in work.left if one.needed]
    if options.dry_run:
        _list(work.left, [])
        return 0
    passed = True
    if options.project and not needed:
        from mltrail_server.services.admin.selftest import SelfTestInput

        passed = report(settings, SelfTestInput(options.project, options.merge_request)) == 0
    _list(work.left, _next(answers, options))
    return 0 if passed and not needed else 1


def _said(changed: list[str], options: argparse.Namespace) -> str:
    if not changed:
        return "complete"
    return f"{'would set' if options.dry_run else 'set'} {', '.join(changed)}"


def _answers(file: EnvFile, options: argparse.Namespace) -> "Answers":
    """Combine what the file, the options and the person say. Raises INVALID for what is missing or contradictory."""
    from mltrail_server.services.admin.new_server import Answers, Form, Tls

    _check_options(options)
    form = Form(options.form)
    answers = Answers(
        form=form,
        gitlab_url=_settled("MLTRAIL_GITLAB_URL", file, options.gitlab_url, "--gitlab-url", "URL of your GitLab"),
        external_url=_settled(
            "MLTRAIL_EXTERNAL_URL", file, options.external_url, "--external-url", "URL that people and jobs will use"
        ),
        groups=_groups(file, options),
        image=_settled("SERVER_IMAGE", file, options.image, "--image", "The server's image, with its version")
        if form is Form.COMPOSE
        else "",
        tls=Tls(_kept("PROXY_TLS", file, options.tls, "--tls") or Tls.AUTOMATIC),
        database=options.database or "",
        artifacts=options.artifacts or "",
    )
    # The same checks as when the server starts, before anything is written.
    Settings.from_environment(
        {
            "MLTRAIL_GITLAB_URL": answers.gitlab_url,
            "MLTRAIL_EXTERNAL_URL": answers.external_url,
            "MLTRAIL_ALLOWED_NAMESPACES": ",".join(answers.groups),
            "MLTRAIL_DATABASE_URL": answers.database,
            "MLTRAIL_ARTIFACTS": answers.artifacts,
        }
    )
    return answers


def _check_options(options: argparse.Namespace) -> None:
    if options.form == "compose" and (options.database or options.artifacts):
        raise invalid("--database and --artifacts are for systemd; with Docker Compose, both are part of compose.yaml.")
    if options.form == "systemd" and (options.image or options.tls):
        raise invalid("--image and --tls are for Docker Compose.")
    if options.database and urlsplit(options.database).password:
        raise invalid(
            "--database contains a password, which everybody on this machine can see. Put the URL into the file."
        )
    if options.form == "compose" and options.tls != "off" and (options.external_url or "").startswith("http:"):
        raise invalid(
            "--external-url begins with http:, but the proxy serves HTTPS; if another proxy is in front, add --tls off."
        )
    if options.bot_days is not None and not 1 <= options.bot_days <= _MOST_DAYS:
        raise invalid(f"--bot-days must be from 1 to {_MOST_DAYS}.")


def _settled(variable: str, file: EnvFile, given: str | None, option: str, question: str) -> str:
    """Return a value from the file, the option or the person."""
    return _kept(variable, file, given, option) or _ask(question, option).rstrip("/")


def _kept(variable: str, file: EnvFile, given: str | None, option: str) -> str:
    """Return a value from the file or the option. Raises INVALID if they differ."""
    kept, wanted = file.values.get(variable, "").rstrip("/"), (given or "").strip().rstrip("/")
    if kept and wanted and kept != wanted:
        raise invalid(f"{file.path} already has {variable}={kept}: change it there, or leave {option} out.")
    return kept or wanted


def _groups(file: EnvFile, options: argparse.Namespace) -> tuple[str, ...]:
    kept = _names(file.values.get("MLTRAIL_ALLOWED_NAMESPACES", ""))
    wanted = [name for one in options.group for name in _names(one)]
    if not kept and not wanted:
        wanted = _names(_ask("Groups that will use it, separated by commas", "--group"))
    return tuple(dict.fromkeys([*kept, *wanted]))


def _names(text: str) -> list[str]:
    return [name.strip().strip("/") for name in text.split(",") if name.strip().strip("/")]


def _ask(question: str, option: str) -> str:
    if not sys.stdin.isatty():
        raise invalid(f"{option} is missing, and there is no terminal to ask at.")
    answer = ""
    while not answer:
        answer = input(f"{question}: ").strip()
    return answer


def _token(options: argparse.Namespace) -> str:
    """Read the token without showing it. It is never an argument, which everybody on the machine could see."""
    if options.without_token:
        return ""
    if options.token_file:
        token: str = options.token_file.read_text(encoding="utf-8").strip()
    elif TOKEN_VARIABLE in os.environ:
        token = os.environ[TOKEN_VARIABLE].strip()
    elif sys.stdin.isatty():
        token = getpass.getpass("Token of an administrator or a group owner, scope api (empty: none): ").strip()
    else:
        raise invalid(
            f"There is no token: give --token-file or set {TOKEN_VARIABLE}; or add --without-token, to list what to "
            "create in GitLab."
        )
    if not (token.isascii() and token.isprintable()):
        raise invalid("The token contains a space or a character that no token has; copy it again.")
    return token


def _check_place(path: Path) -> None:
    """Refuse a place that Git would commit, and one that can't be written, before anything is asked or created."""
    folder = path.resolve().parent
    top = next((one for one in (folder, *folder.parents) if (one / ".git").exists()), None)
    if top is not None and not _is_ignored(path.resolve()):
        raise invalid(
            f"{path} would hold secrets, but is in a Git working tree ({top}), and Git does not ignore it: add it to "
            ".gitignore, or choose another place with --file."
        )
    if not folder.exists() and path == Path(_FILES["systemd"]):
        folder.mkdir(mode=0o700)
    if not folder.is_dir():
        raise invalid(f"There is no folder {folder}: create it first, or choose another place with --file.")
    if not os.access(folder, os.W_OK):
        raise invalid(_UNWRITABLE.format(folder=folder))


def _is_ignored(path: Path) -> bool:
    git = shutil.which("git")
    if git is None:
        rules = path.with_name(".gitignore")
        return rules.is_file() and path.name in {line.strip().lstrip("/") for line in rules.read_text().splitlines()}
    command = [git, "-C", str(path.parent), "check-ignore", "--quiet", path.name]
    return subprocess.run(command, check=False, stderr=subprocess.DEVNULL).returncode == 0  # noqa: S603 - our own words


def _write(file: EnvFile) -> None:
    try:
        file.write()
    except PermissionError as error:
        raise OSError(error.errno, error.strerror, str(file.path)) from error


def _settings(file: EnvFile) -> Settings:
    return Settings.from_environment(
        {name: value for name, value in file.values.items() if name.startswith("MLTRAIL_")}
    )


def _next(answers: "Answers", options: argparse.Namespace) -> list[str]:
    """List what comes after the set-up, in this order."""
    from mltrail_server.services.admin.new_server import Form

    if answers.form is Form.SYSTEMD:
        return [
            "Create the database and start the server, see docs/how-to/install.md",
            *([] if options.project else [f"Test it: mltrail-admin selftest --project {answers.groups[0]}/SANDBOX"]),
        ]
    host = urlsplit(answers.external_url).hostname
    certificate = {
        "automatic": f"Point {host} to this machine, and open ports 80 and 443 to Let's Encrypt",
        "own": "Put the certificate with its chain into certificates/tls.crt and its key into certificates/tls.key",
        "internal": "Have people's browsers and jobs trust the proxy's authority, see docs/how-to/run-with-compose.md",
        "off": f"Have your proxy pass {answers.external_url} on to port 80 of this machine",
    }
    steps = [certificate[answers.tls.value], "Start it in the folder of compose.yaml: docker compose up -d --wait"]
    if not options.project:
        steps.append(f"Test it: docker compose exec web mltrail-server selftest --project {answers.groups[0]}/SANDBOX")
    return steps


def _list(left: list["Left"], steps: list[str]) -> None:
    items = [*(f"{'Needed before the start: ' if one.needed else ''}{one.what}" for one in left), *steps]
    if items:
        print("\nLeft to do:")
    for number, what in enumerate(items, start=1):
        print(f"{number}. {plain(what)}.")
