"""`mltrail doctor`: explain set-up mistakes in words."""

import json
import os
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from . import __version__, answers, errors
from .api import Api
from .checks import Check, client, code, configuration, environment, login, network, token
from .outputs import console, text
from .redaction import without_credentials
from .settings import Settings

if TYPE_CHECKING:
    import urllib3

_CLOCK_SECONDS = 30


def arguments(parser: ArgumentParser) -> None:
    """None but those that all commands have."""
    del parser


def run(api: Api, options: Namespace) -> int:
    checks = list(_checks(api, os.environ, time.time()))
    if options.json:
        console.tell(json.dumps({"checks": [check._asdict() for check in checks]}, indent=2))
    else:
        for check in checks:
            mark = text.coloured("ok     ", "good") if check.ok else text.coloured("PROBLEM", "bad")
            console.tell(f"{mark}  {check.name}: {text.clean(check.message)}")
            if check.mend:
                console.tell(f"         {'better' if check.ok else 'mend it'}: {text.clean(check.mend)}")
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
        yield Check("server", ok=False, message=str(error), mend=f"curl -v {settings.server}/healthz")
        yield from network.checks(settings, variables, reached=False, mlflow_works=False)
        return
    yield _answer(settings, health)
    of_mlflow = list(client.checks(variables)) if trains else []
    works = any(check.ok for check in of_mlflow)
    yield from network.checks(settings, variables, reached=health.status == 200, mlflow_works=works)
    yield from _clock(health.headers.get("Date"), at)
    if settings.token:
        yield from _access(api)
        yield from _left_over(api, settings, variables)
    yield from of_mlflow


def _answer(settings: Settings, health: "urllib3.BaseHTTPResponse") -> Check:
    told = f"{settings.server} answers {health.status}"
    if health.status == 200:
        return Check("server", ok=True, message=told)
    if 300 <= health.status < 400:
        where = without_credentials(health.headers.get("Location", "")).partition("?")[0]
        told += f" and leads to {where}. Is that a login page in front of the server, or its right URL?"
    elif health.status == 407:
        told += ": a proxy between here and the server wants a user name and password"
    else:
        told += ". Is it an mltrail server? Check its URL, what stands in front of it, and its log"
    return Check("server", ok=False, message=told, mend=f"curl -v {settings.server}/healthz")


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
        message += ": tokens look expired or not yet valid. Set both clocks by NTP."
    ok = abs(skew) <= _CLOCK_SECONDS
    yield Check("clock", ok=ok, message=message, mend="" if ok else "timedatectl set-ntp true")


def _access(api: Api) -> Iterator[Check]:
    try:
        told = answers.setup(api.setup())
    except errors.CommandError as error:
        if "GitLab has no such" in str(error):
            # The server asks GitLab by its bot, which a project has to let in.
            yield Check(
                "bot",
                ok=False,
                message=f"GitLab does not show the project {api.settings.project} to mltrail's bot, so the server "
                f"knows nobody's rights there: the bot is not a member, or this is another project. ({error})",
                mend="In GitLab: Manage > Members > Invite members, mltrail's bot",
            )
        else:
            yield Check("access", ok=False, message=str(error))
        return
    who = f"job {told.job_id} of {told.user}" if told.job_id else told.user
    if told.may_write:
        yield Check("access", ok=True, message=f"{who} may log")
    else:
        yield Check("access", ok=False, message=f"{who} may read and not log. {told.limit}".rstrip())
    if told.has_bot:
        yield Check(
            "bot",
            ok=not told.bot_problem,
            message=told.bot_problem or "it can read jobs and write comments",
            mend="In GitLab: Manage > Members > Invite members, mltrail's bot" if told.bot_problem else "",
        )
    other = f"this command is {__version__}, the server {told.version}"
    same = told.version.split(".")[:2] == __version__.split(".")[:2]
    yield Check(
        "version",
        ok=same,
        message=other if same else f"{other}. Take the same minor version.",
        mend="" if same else f"pip install mltrail=={told.version}",
    )


def _left_over(api: Api, settings: Settings, variables: Mapping[str, str]) -> Iterator[Check]:
    """Variables that name a run or an experiment: handed on from elsewhere they lead MLflow to the wrong one."""
    run, experiment = (variables.get(name, "").strip() for name in ("MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_ID"))
    if run:
        yield _run_id(api, settings, run)
    if experiment:
        yield _experiment(api, experiment, variables.get("MLFLOW_EXPERIMENT_NAME", "").strip())


def _experiment(api: Api, told: str, name: str) -> Check:
    mend = "unset MLFLOW_EXPERIMENT_ID"
    try:
        found = answers.experiment_name(api.experiment(told))
    except errors.CommandError as error:
        message = f"It names experiment {told}, which can't be read here, so no run can begin. ({error})"
        return Check("MLFLOW_EXPERIMENT_ID", ok=False, message=message, mend=mend)
    if name and name != found:
        message = (
            f"It names the experiment {found!r}, and MLFLOW_EXPERIMENT_NAME is {name!r}: MLflow uses only one of them."
        )
        return Check("MLFLOW_EXPERIMENT_ID", ok=False, message=message, mend=mend)
    return Check("MLFLOW_EXPERIMENT_ID", ok=True, message=f"it names the experiment {found!r}")


def _run_id(api: Api, settings: Settings, run_id: str) -> Check:
    """A run id that was handed on makes `start_run()` resume that run: fine within a pipeline, else a mistake."""
    advice = "Unset it, and don't hand it on by dotenv: `start_run()` resumes that run instead of beginning one."
    mend = "unset MLFLOW_RUN_ID"
    try:
        found = answers.pipeline_of_run(api.run(run_id))
    except errors.CommandError as error:
        message = f"It names a run that can't be read here. {advice} ({error})"
        return Check("MLFLOW_RUN_ID", ok=False, message=message, mend=mend)
    if found != settings.pipeline:
        whose = f"of pipeline {found}" if found else "of no pipeline"
        message = f"It names a run {whose}, but this is pipeline {settings.pipeline}. {advice}"
        return Check("MLFLOW_RUN_ID", ok=False, message=message, mend=mend)
    return Check("MLFLOW_RUN_ID", ok=True, message="it names a run of this pipeline, which `start_run()` resumes")
