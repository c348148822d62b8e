"""`mltrail doctor`: explain set-up mistakes in words."""

import json
import os
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Mapping

from . import __version__, answers, errors
from .api import Api
from .checks import Check, environment, token
from .outputs import console, text
from .settings import Settings

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
    return errors.DONE if all(check.ok for check in checks) else errors.NO


def _checks(api: Api, variables: Mapping[str, str], now: float) -> Iterator[Check]:
    settings = api.settings
    yield from token.checks(settings, variables, now)
    yield from environment.checks(settings, variables)
    try:
        health = api.health()
    except errors.CommandError as error:
        yield Check("server", ok=False, message=str(error))
        return
    yield Check("server", ok=health.status == 200, message=f"{settings.server} answers {health.status}")
    yield from _clock(health.headers.get("Date"), now)
    if settings.token:
        yield from _access(api)
        if variables.get("MLFLOW_RUN_ID"):
            yield _run_id(api, settings, variables["MLFLOW_RUN_ID"])


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
    yield Check("clock", ok=abs(skew) <= _CLOCK_SECONDS, message=message)


def _access(api: Api) -> Iterator[Check]:
    try:
        told = answers.setup(api.setup())
    except errors.CommandError as error:
        yield Check("access", ok=False, message=str(error))
        return
    who = f"job {told.job_id} of {told.user}" if told.job_id else told.user
    if told.may_write:
        yield Check("access", ok=True, message=f"{who} may log")
    else:
        yield Check("access", ok=False, message=f"{who} may read and not log. {told.limit}".rstrip())
    if told.has_bot:
        yield Check("bot", ok=not told.bot_problem, message=told.bot_problem or "it can read jobs and write comments")
    other = f"this command is {__version__}, the server {told.version}"
    same = told.version.split(".")[:2] == __version__.split(".")[:2]
    yield Check("version", ok=same, message=other if same else f"{other}. Take the same minor version.")


def _run_id(api: Api, settings: Settings, run_id: str) -> Check:
    """A run id that was handed on makes `start_run()` resume that run: fine within a pipeline, else a mistake."""
    advice = "Unset it, and don't hand it on by dotenv: `start_run()` resumes that run instead of beginning one."
    try:
        found = answers.pipeline_of_run(api.run(run_id))
    except errors.CommandError as error:
        return Check("MLFLOW_RUN_ID", ok=False, message=f"It names a run that can't be read here. {advice} ({error})")
    if found != settings.pipeline:
        whose = f"of pipeline {found}" if found else "of no pipeline"
        return Check(
            "MLFLOW_RUN_ID", ok=False, message=f"It names a run {whose}, this is {settings.pipeline}. {advice}"
        )
    return Check("MLFLOW_RUN_ID", ok=True, message="it names a run of this pipeline, which `start_run()` resumes")
