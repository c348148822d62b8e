"""`mltrail doctor`: explain mistakes in the set-up, and how to fix them."""

import json
import os
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from . import __version__, errors, responses
from .api import Api
from .checks import Check, client, code, configuration, environment, login, network, token
from .outputs import console, text
from .redaction import without_credentials
from .settings import Settings

if TYPE_CHECKING:
    import urllib3

_CLOCK_SECONDS = 30


def arguments(parser: ArgumentParser) -> None:
    """Add no options to those that all commands have."""
    del parser


def run(api: Api, options: Namespace) -> int:
    checks = list(_checks(api, os.environ, time.time()))
    if options.json:
        console.write(json.dumps({"checks": [check._asdict() for check in checks]}, indent=2))
    else:
        for check in checks:
            mark = text.coloured("ok     ", "good") if check.ok else text.coloured("PROBLEM", "bad")
            console.write(f"{mark}  {check.name}: {text.clean(check.message)}")
            if check.fix:
                console.write(f"         {'better' if check.ok else 'fix it'}: {text.clean(check.fix)}")
    return errors.DONE if all(check.ok for check in checks) else errors.NO


def _checks(api: Api, variables: Mapping[str, str], now: float) -> Iterator[Check]:
    settings = api.settings
    trains = bool(variables.get("MLFLOW_TRACKING_URI", "").strip())
    yield from token.checks(settings, variables, now)
    yield from environment.checks(settings, variables)
    yield from configuration.checks(variables)
    if trains:
        yield from login.checks(settings, variables)
        yield from code.checks(settings, variables)
    try:
        health, at = api.health(), time.time()
    except errors.CommandError as error:
        yield Check("server", ok=False, message=str(error), fix=f"curl -v {settings.server}/healthz")
        yield from network.checks(settings, variables, reached=False, mlflow_works=False)
        return
    yield _health(settings, health)
    of_mlflow = list(client.checks(variables)) if trains else []
    works = any(check.ok for check in of_mlflow)
    yield from network.checks(settings, variables, reached=health.status == 200, mlflow_works=works)
    yield from _clock(health.headers.get("Date"), at)
    if settings.token:
        yield from _access(api)
        yield from _left_over(api, settings, variables)
    yield from of_mlflow


def _health(settings: Settings, health: "urllib3.BaseHTTPResponse") -> Check:
    message = f"{settings.server} returns {health.status}"
    if health.status == 200:
        return Check("server", ok=True, message=message)
    if 300 <= health.status < 400:
        where = without_credentials(health.headers.get("Location", "")).partition("?")[0]
        message += f" and redirects to {where}. Is that a login page in front of the server, or the correct URL?"
    elif health.status == 407:
        message += ": a proxy between here and the server requires a user name and password"
    else:
        message += ". Is it an mltrail server? Check its URL, any proxy in front of it, and its log"
    return Check("server", ok=False, message=message, fix=f"curl -v {settings.server}/healthz")


def _clock(date: str | None, now: float) -> Iterator[Check]:
    if date is None:
        return
    from email.utils import parsedate_to_datetime  # noqa: PLC0415 - only here, and it is slow to load

    try:
        skew = now - parsedate_to_datetime(date).timestamp()
    except (ValueError, TypeError, OverflowError):
        return
    message = f"this runner's clock and the server's differ by {abs(skew):.0f} s"
    if abs(skew) > _CLOCK_SECONDS:
        message += ": tokens look expired or not yet valid. Synchronise both clocks with NTP."
    ok = abs(skew) <= _CLOCK_SECONDS
    yield Check("clock", ok=ok, message=message, fix="" if ok else "timedatectl set-ntp true")


def _access(api: Api) -> Iterator[Check]:
    try:
        setup = responses.setup(api.setup())
    except errors.CommandError as error:
        if "GitLab has no such" in str(error):
            # The server calls GitLab as its bot, which must be a member of the project.
            yield Check(
                "bot",
                ok=False,
                message=f"GitLab does not show the project {api.settings.project} to mltrail's bot, so the server "
                f"knows nobody's rights there: the bot is not a member, or this is a different project. ({error})",
                fix="In GitLab: Manage > Members > Invite members, mltrail's bot",
            )
        else:
            yield Check("access", ok=False, message=str(error))
        return
    who = f"job {setup.job_id} of {setup.user}" if setup.job_id else setup.user
    if setup.may_write:
        yield Check("access", ok=True, message=f"{who} can log")
    else:
        yield Check("access", ok=False, message=f"{who} can read but not log. {setup.limit}".rstrip())
    if setup.has_bot:
        yield Check(
            "bot",
            ok=not setup.bot_problem,
            message=setup.bot_problem or "it can read jobs and write comments",
            fix="In GitLab: Manage > Members > Invite members, mltrail's bot" if setup.bot_problem else "",
        )
    versions = f"this command is {__version__}, the server {setup.version}"
    same = setup.version.split(".")[:2] == __version__.split(".")[:2]
    yield Check(
        "version",
        ok=same,
        message=versions if same else f"{versions}. Use the same minor version.",
        fix="" if same else f"pip install mltrail=={setup.version}",
    )


def _left_over(api: Api, settings: Settings, variables: Mapping[str, str]) -> Iterator[Check]:
    """Variables that name a run or an experiment: if they come from elsewhere, MLflow logs to the wrong one."""
    run, experiment = (variables.get(name, "").strip() for name in ("MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_ID"))
    if run:
        yield _run_id(api, settings, run)
    if experiment:
        yield _experiment(api, experiment, variables.get("MLFLOW_EXPERIMENT_NAME", "").strip())


def _experiment(api: Api, experiment_id: str, name: str) -> Check:
    fix = "unset MLFLOW_EXPERIMENT_ID"
    try:
        found = responses.experiment_name(api.experiment(experiment_id))
    except errors.CommandError as error:
        message = f"It names experiment {experiment_id}, which can't be read here, so no run can start. ({error})"
        return Check("MLFLOW_EXPERIMENT_ID", ok=False, message=message, fix=fix)
    if name and name != found:
        message = (
            f"It names the experiment {found!r}, and MLFLOW_EXPERIMENT_NAME is {name!r}: MLflow uses only one of them."
        )
        return Check("MLFLOW_EXPERIMENT_ID", ok=False, message=message, fix=fix)
    return Check("MLFLOW_EXPERIMENT_ID", ok=True, message=f"it names the experiment {found!r}")


def _run_id(api: Api, settings: Settings, run_id: str) -> Check:
    """With a run ID from another job, `start_run()` resumes that run: fine within a pipeline, otherwise a mistake."""
    advice = (
        "Unset it, and don't pass it on in a dotenv report: `start_run()` resumes that run instead of starting one."
    )
    fix = "unset MLFLOW_RUN_ID"
    try:
        found = responses.pipeline_of_run(api.run(run_id))
    except errors.CommandError as error:
        message = f"It names a run that can't be read here. {advice} ({error})"
        return Check("MLFLOW_RUN_ID", ok=False, message=message, fix=fix)
    if found != settings.pipeline:
        whose = f"of pipeline {found}" if found else "that belongs to no pipeline"
        message = f"It names a run {whose}, but this is pipeline {settings.pipeline}. {advice}"
        return Check("MLFLOW_RUN_ID", ok=False, message=message, fix=fix)
    return Check("MLFLOW_RUN_ID", ok=True, message="it names a run of this pipeline, which `start_run()` resumes")
