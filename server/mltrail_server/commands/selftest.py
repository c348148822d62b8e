"""`mltrail-server selftest`: try tokens, roles, claims and comments at the real GitLab."""

import argparse
import os
import platform
from importlib import metadata
from typing import TYPE_CHECKING

from mltrail_server.domain.errors import invalid
from mltrail_server.settings import Settings

from .arguments import Commands, Parser

if TYPE_CHECKING:
    from mltrail_server.services.admin.selftest import SelfTestInput


def add(commands: Commands, shared: Parser) -> None:
    selftest = commands.add_parser(
        "selftest", parents=[shared], help="test tokens, roles, claims and comments against your GitLab, and report"
    )
    selftest.add_argument("--project", required=True, metavar="PATH", help="a sandbox project, by path or ID")
    selftest.add_argument(
        "--merge-request", type=int, metavar="IID", help="an open merge request, to write a comment on"
    )
    selftest.add_argument(
        "--id-token-variable",
        metavar="NAME",
        default="MLFLOW_TRACKING_TOKEN",
        help="variable with the job's ID token (default %(default)s)",
    )
    selftest.add_argument(
        "--webhook-listen",
        metavar="HOST:PORT",
        default="",
        help="create a webhook to this address, have GitLab send it, and remove it; the bot needs the Maintainer role",
    )
    selftest.add_argument(
        "--webhook-url",
        metavar="URL",
        default="",
        help="URL by which GitLab reaches that address (default http://HOST:PORT/)",
    )
    selftest.set_defaults(run=run)


def run(settings: Settings, options: argparse.Namespace) -> int:
    from mltrail_server.services.admin.selftest import SelfTestInput

    given = SelfTestInput(
        options.project,
        options.merge_request,
        id_token=os.environ.get(options.id_token_variable, ""),
        job_token=os.environ.get("CI_JOB_TOKEN", ""),
        webhook_listen=options.webhook_listen,
        webhook_url=options.webhook_url,
    )
    return report(settings, given)


def report(settings: Settings, given: "SelfTestInput") -> int:
    """Run the self-test and print its report. Returns 0 if it passed, else 1."""
    from mltrail_server.domain.clock import system_clock
    from mltrail_server.services.admin.checks import FAILED
    from mltrail_server.services.admin.selftest import SelfTest

    if settings.local_mode:
        raise invalid(
            "The self-test needs a GitLab: set MLTRAIL_GITLAB_URL, and the other variables as for the server."
        )
    test = SelfTest(settings, given, system_clock)
    print(f"mltrail {metadata.version('mltrail')} against {settings.gitlab_url}, Python {platform.python_version()}")
    for one in test.run():
        print(one.line())
    reached = test.lines[0].outcome != FAILED
    help_wanted = (
        "fix what the lines say, then run it again; if that does not help, send this report: it contains no secrets"
        if reached
        else "fix what the first line says, then run it again"
    )
    print("passed" if test.passed else f"FAILED: {help_wanted}")
    return 0 if test.passed else 1
