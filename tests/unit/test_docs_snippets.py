"""No block of code in the docs is unread: each is run by a test, or at least checked here, or listed with a reason.

What a message of this file asks for: correct the block, or, if it is right and can't be checked, add a line with the
reason to `PROGRAMS`, `LANGUAGES` or `NOT_CHECKED`.
"""

import ast
import configparser
import io
import json
import re
import subprocess
import tomllib
from argparse import ArgumentParser, _SubParsersAction
from contextlib import redirect_stderr, redirect_stdout
from functools import cache

import pytest
import yaml

from mltrail_ci.cli import parser as job_parser
from mltrail_server.cli import parser_of_all as server_parser
from tests.places import ROOT
from tests.unit.code_blocks import Block, blocks, commands, script, spans

SHELL = {"sh", "shell", "bash", "console"}
# Other languages, and who looks at them.
LANGUAGES = {
    "text": "what a program prints or a person sees: the tests of that program",
    "mermaid": "a drawing",
    "yaml": "here, by its parser; tests/component/test_snippets.py and test_whole_snippets.py run the pipelines",
    "json": "here, by its parser",
    "python": "here, by its compiler; tests/docs/test_client_calls.py looks for what it uses of MLflow",
    "ini": "here, by a parser; deploy/systemd has tests of its own",
    "nginx": "here, whether a file in deploy/ has these lines",
    "sql": "here, whether a file in deploy/ has these lines",
    "toml": "here, by its parser",
}
# Programs that the docs call, and who says that the calls are right.
PROGRAMS = {
    "mltrail": "here: its own parser reads the arguments",
    "mltrail-server": "here: its own parser reads the arguments",
    "make": "here: the Makefile has the target",
    "python": "a script of ours exists, or code compiles",
    "cat cd cp echo export install ls mkdir mv pwd rm sed set tar test touch umask unset": "of every system",
    "chmod chown date dd df du find head id mktemp sha256sum sleep sort tail tee xargs": "of every system",
    ". source [ [[ trap true printf read wait kill": "of the shell",
    "pip pip3 pipx uv": "installs; tests/packaging installs the same wheel with its extras",
    "git": "tests/docs/test_tutorial.py runs those of the tutorial",
    "curl": "the addresses are ours: tests/api and reference/api.md name them",
    "docker podman buildah crane skopeo": "images: no daemon in our tests; deploy/ and image/ have tests of their own",
    "kubectl helm": "deploy/helm has tests of its own; no cluster in our tests",
    "systemctl journalctl systemd-analyze systemd-creds useradd adduser groupadd loginctl": "of systemd and its users",
    "apt apt-get dnf": "of the distribution",
    "psql pg_dump pg_restore createdb createuser su runuser pg_ctl pg_basebackup initdb patronictl": "PostgreSQL's own",
    "openssl age-keygen gpg cosign slsa-verifier glab jq": "tools of others, called as their manuals say",
    "gunicorn": "tests/e2e/test_gunicorn.py",
    "import-all": "a tool of others, which leave.md describes",
    "sbatch srun": "tools of a cluster, which our tests don't have",
    "aws mc s3cmd garage": "tools of S3 stores",
    "nginx caddy haproxy": "proxies: how they reload",
    "promtool amtool": "tools of Prometheus",
    "cyclonedx-py pip-audit pypi-attestations": "tools of others, called as their manuals say",
}
# Blocks that can't be checked, by page and language.
NOT_CHECKED = {
    ("docs/how-to/watch.md", "sql"): "asks pg_stat_activity, as PostgreSQL's manual has it; no table of ours",
    ("docs/how-to/operate.md", "nginx"): "a few lines for the reader's own proxy, in words of nginx's manual",
    ("docs/explanation/scale.md", "sql"): "Citus has not been run, and the page says so",
}
BLOCKS = sorted({block.page for block in blocks()})


@cache
def of_page(page: str) -> list[Block]:
    return [block for block in blocks() if block.page == page]


@cache
def programs() -> set[str]:
    return {name for names in PROGRAMS for name in names.split()}


@cache
def variables() -> set[str]:
    """Every variable that our programs, components and deployments know."""
    places = ("server", "component", "templates", "deploy", "image", "scripts", ".ci")
    found: set[str] = set()
    for place in places:
        for file in (ROOT / place).rglob("*"):
            if file.is_file() and file.suffix not in {".pyc", ".png", ".js", ".css", ".svg"}:
                found |= {*re.findall(r"\bMLTRAIL_[A-Z0-9_]+\b", file.read_text(errors="ignore"))}
    return found | {f"{name}_FILE" for name in found}


def problems_of(block: Block) -> list[str]:
    if block.language in SHELL:
        return [*of_shell(block)]
    if block.language not in LANGUAGES:
        known = ", ".join(sorted(SHELL | LANGUAGES.keys()))
        known = f"Known are {known}. Name one, or add it to LANGUAGES with who checks it"
        return [f"its language is {block.language!r}. {known}"]
    return of_data(block)


def of_data(block: Block) -> list[str]:
    try:
        if block.language == "yaml":
            [*yaml.safe_load_all(block.text)]
        elif block.language == "json":
            read_json(re.sub(r",?\s*…", "", block.text))
        elif block.language == "python":
            ast.parse(block.text)
        elif block.language == "toml":
            tomllib.loads(block.text)
        elif block.language == "ini":
            configparser.ConfigParser(strict=False, interpolation=None, allow_no_value=True).read_string(block.text)
        elif block.language in {"sql", "nginx"} and (block.page, block.language) not in NOT_CHECKED:
            return of_configuration(block)
    except (yaml.YAMLError, configparser.Error, ValueError, SyntaxError) as error:
        return [f"this is no {block.language}: {error}"]
    return []


def read_json(text: str) -> None:
    """One value, or one on each line."""
    try:
        json.loads(text)
    except ValueError:
        for line in text.splitlines():
            json.loads(line)


def of_configuration(block: Block) -> list[str]:
    """It must stand in a file of the repository, whose tests look at it."""
    lines = {line.strip() for line in block.text.splitlines()} - {""}
    for file in (ROOT / "deploy").rglob("*"):
        if file.is_file() and lines <= {line.strip() for line in file.read_text(errors="ignore").splitlines()}:
            return []
    what = f"no test reads this {block.language}"
    return [f"{what}. Show lines of a file in deploy/, which has tests, or add the page to NOT_CHECKED with the reason"]


def of_shell(block: Block) -> list[str]:
    text = script(block)
    parsed = subprocess.run(["bash", "-n"], input=text, capture_output=True, text=True, check=False)
    if parsed.returncode != 0:
        return [f"the shell can't parse it: {parsed.stderr.strip()}"]
    found = [f"{name}: nothing of ours reads this variable" for name in unknown_variables(text)]
    for command in commands(text):
        found += of_command(command)
    return found


def unknown_variables(text: str) -> list[str]:
    named = re.findall(r"\b(MLTRAIL(?:_[A-Z0-9]+)+)\b(?!_)", text)
    return [
        name for name in dict.fromkeys(named) if name not in variables() and not name.startswith("MLTRAIL_VERSION_")
    ]


def of_command(command: list[str]) -> list[str]:
    name = command[0].rpartition("/")[2]
    name = "python" if re.fullmatch(r"python[\d.]*", name) else name
    if name == "mltrail":
        return parsing(job_parser(), command)
    if name == "mltrail-server":
        return parsing(server_parser(), command)
    if name == "make":
        targets = [one for one in command[1:] if not one.startswith("-") and "=" not in one]
        made = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
        return [f"the Makefile has no target {one}" for one in targets if one not in made]
    if name in programs() or command[0].startswith("$"):
        return []
    if "/" in command[0]:
        return of_file(command[0], name)
    return [f"no test knows the program {name!r}: add it to PROGRAMS, with who says that the call is right"]


def of_file(path: str, name: str) -> list[str]:
    if path.startswith("/"):
        return [] if [*(ROOT / "deploy").rglob(name)] else [f"{path}: no file in deploy/ is called {name}"]
    return [] if (ROOT / path).exists() else [f"{path} does not exist in the repository"]


def parsing(parser: ArgumentParser, command: list[str]) -> list[str]:
    """What the command itself says about its arguments."""
    said = io.StringIO()
    try:
        with redirect_stderr(said), redirect_stdout(io.StringIO()):
            parser.parse_args(command[1:])
    except SystemExit as ended:
        if ended.code:
            return [f"`{' '.join(command)}`: {said.getvalue().strip().splitlines()[-1]}"]
    return []


@pytest.mark.parametrize("page", BLOCKS)
def test_each_block_is_checked(page: str) -> None:
    found = [f"{block}: {problem}" for block in of_page(page) for problem in problems_of(block)]
    assert not found, "\n".join(["blocks of code to correct:", *found])


def commands_of(parser: ArgumentParser) -> dict[str, ArgumentParser]:
    (found,) = (one for one in parser._actions if isinstance(one, _SubParsersAction))
    return dict(found.choices)


def test_commands_in_sentences_exist() -> None:
    """The words of a command, and its options; a sentence may leave out what else it needs."""
    known = {"mltrail": commands_of(job_parser()), "mltrail-server": commands_of(server_parser())}
    wrong = []
    for span in spans():
        program, command, *rest = re.sub(r"[|\\]", " ", span.text).split()
        if command.startswith("-"):
            continue
        if command not in known[program]:
            wrong.append(f"{span}: {program} has no command {command}")
            continue
        options = re.findall(r"--[a-z][a-z-]+", " ".join(rest))
        all_options = known[program][command].format_help()
        wrong += [f"{span}: {program} {command} has no option {one}" for one in options if one not in all_options]
    assert wrong == []


def test_a_wrong_block_is_found() -> None:
    wrong = {
        "mltrail-server gc --olderthan 30d": "--olderthan",
        "sudo -u mltrail mltrail-server servee": "servee",
        "export MLTRAIL_GITLAP_URL=https://gitlab.example.com": "MLTRAIL_GITLAP_URL",
        "mltrail report | tee log && make tset": "no target tset",
        "frobnicate --all": "add it to PROGRAMS",
        "echo 'not closed": "can't parse",
    }
    for text, expected in wrong.items():
        (found,) = problems_of(Block("page.md", 1, "sh", text + "\n"))
        assert expected in found


def test_the_tables_of_this_file_are_used() -> None:
    used = {(block.page, block.language) for block in blocks()}
    assert [one for one in NOT_CHECKED if one not in used] == []
