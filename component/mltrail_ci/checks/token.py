"""The job's token: is there one, is it this job's, and is it for this server?"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from mltrail_ci.settings import TOKENS, Settings, wrong_token

from . import Check


def checks(settings: Settings, variables: Mapping[str, str], now: float) -> Iterator[Check]:
    """Check the token that the command uses, and MLflow's if that is a different one."""
    of_ours, of_mlflow = TOKENS
    trains = bool(variables.get("MLFLOW_TRACKING_URI", "").strip())
    names = [name for name in TOKENS if variables.get(name, "").strip()]
    needed = of_mlflow if trains else of_ours
    if not names:
        yield Check(
            "token",
            ok=False,
            message=f"There is none: the job needs {needed}, and without it every call is refused. A job's own "
            "`id_tokens:` (including those from `extends`) replace those of `default:`; they are not merged.",
            fix=_id_token(needed, settings),
        )
    for number, name in enumerate(names):
        for check in _one(name, variables[name], settings, variables, now):
            yield check if number == 0 else check._replace(name=f"{check.name} of MLflow")
    if trains and names == [of_ours]:
        yield Check(
            "token of MLflow",
            ok=False,
            message=f"{of_ours} is only for this command. MLflow's client reads {of_mlflow}, which is not set, so it "
            "sends no token.",
            fix=_id_token(of_mlflow, settings),
        )


def _id_token(name: str, settings: Settings) -> str:
    return f"id_tokens: {{{name}: {{aud: {settings.server}}}}}"


def _one(name: str, value: str, settings: Settings, variables: Mapping[str, str], now: float) -> Iterator[Check]:
    token = value.strip()
    problem = wrong_token(token)
    if problem:
        yield Check("token", ok=False, message=f"{name} {problem}", fix=_id_token(name, settings))
        return
    if token != value and name == TOKENS[1]:
        yield Check(
            "token",
            ok=False,
            message=f"{name} has a line break or a space at its beginning or end. This command removes it, but "
            "MLflow's client does not: it stops, and prints the token into the job's log.",
            fix=f'export {name}="$(printf %s "${name}" | tr -d "[:space:]")"',
        )
    if token.startswith("mltd-"):
        yield Check("token", ok=True, message=f"{name} is the token of a detached run")
        return
    claims = _claims(token)
    if claims is None:
        yield _no_id_token(name, settings, in_job="CI_JOB_ID" in variables)
        return
    job, of_job = variables.get("CI_JOB_ID"), str(claims.get("job_id", ""))
    if job and of_job != job:
        yield Check(
            "token",
            ok=False,
            message=f"{name} is the ID token of job {of_job or '(none)'}, but this is job {job}. Each job needs its "
            "own: don't pass one on.",
            fix=_id_token(name, settings),
        )
    else:
        yield Check("token", ok=True, message=f"{name} is the ID token of job {of_job}")
    yield _audience(name, claims.get("aud"), settings)
    yield _expiry(claims.get("exp"), now)


def _no_id_token(name: str, settings: Settings, *, in_job: bool) -> Check:
    if not in_job:
        return Check("token", ok=True, message=f"{name} contains an access token")
    return Check(
        "token",
        ok=False,
        message=f"{name} is not an ID token. A CI/CD variable of that name (project, group or instance settings) "
        "overrides `id_tokens`: delete it there.",
        fix=_id_token(name, settings),
    )


def _audience(name: str, claim: object, settings: Settings) -> Check:
    audiences = [str(one).rstrip("/") for one in (claim if isinstance(claim, list) else [claim])]
    if settings.server in audiences:
        return Check("audience", ok=True, message=settings.server)
    return Check(
        "audience",
        ok=False,
        message=f"{', '.join(audiences)}, but the server is {settings.server}. `aud` must be exactly the server's URL.",
        fix=_id_token(name, settings),
    )


def _expiry(claim: object, now: float) -> Check:
    left = (float(claim) if isinstance(claim, int | float) else now) - now
    if left > 0:
        return Check("expiry", ok=True, message=f"the token is valid for {left / 60:.0f} more minutes")
    return Check(
        "expiry",
        ok=False,
        message="The token has expired: it lives as long as the job's timeout, or 5 minutes if there is none. Set a "
        "longer `timeout:` for the job.",
        fix="timeout: 3h",
    )


def _claims(token: str) -> dict[str, Any] | None:
    """Read the claims of a JWT without verifying it, which is the server's task. None for anything else."""
    import base64  # noqa: PLC0415 - only here
    import binascii  # noqa: PLC0415

    parts = token.removeprefix("glpat-").split(".")
    if len(parts) != 3:
        return None
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (binascii.Error, ValueError):
        return None
    return claims if isinstance(claims, dict) else None
