"""The claims of a CI ID token: each is in exactly one of these tables.

https://docs.gitlab.com/ci/secrets/id_token_authentication/#token-payload

Nearly everything is a string, even numbers and booleans: `"ref_protected": "false"` is truthy in Python.
"""

from collections.abc import Mapping
from typing import Any

from mltrail_server.domain.errors import MltrailError, unauthenticated
from mltrail_server.domain.identity import Role, VerifiedClaims
from mltrail_server.domain.ids import ProjectId

CHECKED = frozenset({"iss", "aud", "exp", "nbf", "iat"})
"""Required, and checked by the JWT library."""

REQUIRED = frozenset(
    {
        "job_id",
        "pipeline_id",
        "pipeline_source",
        "project_id",
        "project_path",
        "ref",
        "ref_type",
        "ref_protected",
        "sha",
        "user_login",
    }
)

SINCE_18_4 = frozenset({"job_project_id", "job_project_path"})
"""Required as well. If an older GitLab does not send them, `older_gitlab` looks them up with the bot."""

OPTIONAL = frozenset({"user_access_level", "user_id"})

IGNORED = frozenset(
    {
        "sub",  # its parts are configurable per project, so it proves nothing more
        "jti",
        "namespace_id",
        "namespace_path",
        "job_namespace_id",
        "job_namespace_path",
        "user_email",
        "user_identities",
        "groups_direct",
        "ref_path",
        "environment",
        "environment_protected",
        "environment_action",
        "deployment_tier",
        "runner_id",
        "runner_environment",
        "project_visibility",
        "ci_config_ref_uri",
        "ci_config_sha",
        "job_source",
        "job_config",
        "target_audience",
        "source_project_id",
        "source_project_path",
    }
)


def verified(claims: Mapping[str, Any], *, source: ProjectId | None = None) -> VerifiedClaims:
    """Read claims whose signature, issuer, audience and times have been checked. `source` is the project whose code
    runs, if that is known from elsewhere than the claim `project_id`.
    """
    missing = sorted(REQUIRED - claims.keys())
    if missing:
        raise unauthenticated(f"The ID token lacks the claim {missing[0]!r}; is it one of GitLab CI's `id_tokens:`?")
    if not claims.keys() >= SINCE_18_4:
        raise unauthenticated("The ID token lacks 'job_project_id', which GitLab sends since 18.4.")
    try:
        return VerifiedClaims(
            job_project_id=ProjectId(_number(claims["job_project_id"])),
            job_project_path=_text(claims["job_project_path"]),
            source_project_id=ProjectId(_number(claims["project_id"])) if source is None else source,
            job_id=_number(claims["job_id"]),
            pipeline_id=_number(claims["pipeline_id"]),
            pipeline_source=_text(claims["pipeline_source"]),
            sha=_text(claims["sha"]),
            ref=_text(claims["ref"]),
            ref_type=_text(claims["ref_type"]),
            ref_protected=claims["ref_protected"] in ("true", True),
            user_login=_text(claims["user_login"]),
            user_role=_role(claims.get("user_access_level")),
            expires_ms=int(claims["exp"]) * 1000,
            issued_ms=int(claims["iat"]) * 1000,
        )
    except (TypeError, ValueError) as error:
        raise _strange(error) from error


def _number(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        raise TypeError(f"{value!r} is not a number")
    number = int(value)
    if number <= 0:
        raise ValueError(f"{value!r} is not an id")
    return number


def _text(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise TypeError(f"{value!r} is not a text")
    return value


def _role(level: object) -> Role:
    """Read a role; an unknown one counts as none, never as more."""
    name = str(level or "none").upper()
    return Role[name] if name in Role.__members__ else Role.NONE


def _strange(error: Exception) -> MltrailError:
    return unauthenticated(f"The ID token has a claim that can't be read: {error}.")
