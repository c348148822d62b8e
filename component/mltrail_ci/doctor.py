"""`mltrail doctor`: explain set-up mistakes in words."""

import json
import os
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from . import errors
from .api import Api
from .outputs import text
from .settings import Settings

HELP = "look for mistakes in this job's set-up"

_CLOCK_SECONDS = 30


class Check(NamedTuple):
    name: str
    ok: bool
    message: str


def arguments(parser: ArgumentParser) -> None:
    """None but those that all commands have."""
    del parser


def run(api: Api, options: Namespace) -> int:
    checks = list(_checks(api, os.environ, time.time()))
    if options.json:
        print(json.dumps({"checks": [check._asdict() for check in checks]}, indent=2))
    else:
        for check in checks:
            mark = text.coloured("ok     ", "good") if check.ok else text.coloured("PROBLEM", "bad")
            print(f"{mark}  {check.name}: {text.clean(check.message)}")
    return errors.DONE if all(check.ok for check in checks) else errors.NO


def _checks(api: Api, environment: Mapping[str, str], now: float) -> Iterator[Check]:
    settings = api.settings
    yield from _token(settings, environment, now)
    if "MLFLOW_RUN_ID" in environment:
        yield Check(
            "MLFLOW_RUN_ID",
            ok=False,
            message="It is set, so that start_run() resumes that run instead of making one. "
            "Don't pass it between jobs by dotenv.",
        )
    try:
        health = api.health()
    except errors.CommandError as error:
        yield Check("server", ok=False, message=str(error))
        return
    yield Check("server", ok=health.status == 200, message=f"{settings.server} answers {health.status}")
    yield from _clock(health.headers.get("Date"), now)
    if not settings.token:
        return
    try:
        found = len(api.candidates().get("candidates") or ())
    except errors.CommandError as error:
        yield Check("access", ok=False, message=str(error))
    else:
        yield Check("access", ok=True, message=f"pipeline {settings.pipeline} has logged {found} runs so far")


def _token(settings: Settings, environment: Mapping[str, str], now: float) -> Iterator[Check]:
    name = settings.token_name
    if not name:
        yield Check(
            "token",
            ok=False,
            message=f"There is none. The job needs `id_tokens: {{MLTRAIL_TOKEN: {{aud: {settings.server}}}}}`.",
        )
        return
    claims = _claims(settings.token)
    if claims is None:
        in_job = "CI_JOB_ID" in environment
        shadow = (
            f"{name} is no ID token. A CI/CD variable of that name (project, group or instance settings) "
            "wins over `id_tokens`: delete it there."
        )
        yield Check("token", ok=not in_job, message=shadow if in_job else f"{name} holds an access token")
        return
    job, of_job = environment.get("CI_JOB_ID"), str(claims.get("job_id", ""))
    if job and of_job != job:
        yield Check(
            "token", ok=False, message=f"{name} is the ID token of job {of_job or '(none)'}, this is job {job}."
        )
    else:
        yield Check("token", ok=True, message=f"{name} is the ID token of job {of_job}")
    audience = claims.get("aud")
    audiences = [str(one).rstrip("/") for one in (audience if isinstance(audience, list) else [audience])]
    fits = settings.server in audiences
    wrong = f"{', '.join(audiences)}, but the server is {settings.server}. `aud` must be the server's URL, exactly."
    yield Check("audience", ok=fits, message=settings.server if fits else wrong)
    left = float(claims.get("exp", now)) - now
    ended = "The token has expired: a job's token ends with the job's timeout, or after 5 minutes without one."
    yield Check(
        "expiry", ok=left > 0, message=f"the token is good for {left / 60:.0f} more minutes" if left > 0 else ended
    )


def _clock(date: str | None, now: float) -> Iterator[Check]:
    if date is None:
        return
    from email.utils import parsedate_to_datetime  # noqa: PLC0415 - only here, and it is slow to load

    skew = now - parsedate_to_datetime(date).timestamp()
    message = f"this runner's clock and the server's differ by {abs(skew):.0f} s"
    yield Check("clock", ok=abs(skew) <= _CLOCK_SECONDS, message=message)


def _claims(token: str) -> dict[str, Any] | None:
    """Read what a JWT says, without verifying it: that is the server's work. None for anything else."""
    import base64  # noqa: PLC0415
    import binascii  # noqa: PLC0415

    parts = token.removeprefix("glpat-").split(".")
    if len(parts) != 3:
        return None
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (binascii.Error, ValueError):
        return None
    return claims if isinstance(claims, dict) else None
