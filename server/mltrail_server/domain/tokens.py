"""What kind of token is this? Most kinds can be told by their prefix, and our refusals name the kind.

https://docs.gitlab.com/security/tokens/#token-prefixes
"""

from .errors import MltrailError, unauthenticated

JOB_TOKEN_PREFIX = "glcbt-"  # noqa: S105 - a prefix, not a secret
DETACHED_PREFIX = "mltd-"
_PERSONAL_PREFIX = "glpat-"
_LONGEST_JWT = 16_384
_LONGEST = 1024

_NO_USE = {
    "gldt-": "a deploy token, which GitLab's API does not accept",
    "gloas-": "the secret of an OAuth application, not an access token",
    "glptt-": "a pipeline trigger token, which can only start pipelines",
    "glrt-": "a runner's token, which can only fetch jobs",
    "glrtr-": "a runner's registration token, which can only register runners",
    "glft-": "a feed token, which can only read feeds",
    "glimt-": "a token for incoming mail",
    "glagent-": "the token of a Kubernetes agent",
    "glsoat-": "a SCIM token, which can only synchronise users",
    "glffct-": "the token of a feature flag client",
    "glwt-": "the token of a workspace",
}

_INSTEAD = (
    "In a CI job use an ID token (`id_tokens:` in .gitlab-ci.yml), elsewhere a personal, project or group access token "
    "with the scope `api`."
)


def is_jwt(token: str) -> bool:
    return token.startswith("eyJ") and token.count(".") == 2


def is_job_token(token: str) -> bool:
    """Whether this is a `CI_JOB_TOKEN`. Newer ones are a JWT after the prefix, so the prefix decides."""
    return token.startswith(JOB_TOKEN_PREFIX)


def is_detached(token: str) -> bool:
    """Whether this server gave the token to a training that outlives its job."""
    return token.startswith(DETACHED_PREFIX)


def bare(token: str) -> str:
    """Remove the prefix of personal access tokens from a JWT: the gitlab-mlops client insists on that prefix."""
    rest = token.removeprefix(_PERSONAL_PREFIX)
    return rest if is_jwt(rest) or is_detached(rest) else token


def check_form(token: str) -> None:
    """Refuse a token that can't work here before GitLab is asked. The message never contains the token.

    Raises UNAUTHENTICATED, saying what it seems to be and what to use instead.
    """
    longest = _LONGEST_JWT if is_jwt(token) or is_job_token(token) or is_detached(token) else _LONGEST
    if len(token) > longest or not (token.isascii() and token.isprintable()) or " " in token:
        raise unauthenticated(
            "This is not a GitLab token: it is too long, or contains spaces or unusual characters. "
            "Copy it again, without quotes or line breaks."
        )
    if token.startswith(("$", "%")) or token in ("[MASKED]", "null", "None"):
        raise unauthenticated(
            "The token is the name of a variable instead of its value, so the variable is not set in this job. "
            "Is the variable protected, but not the branch? " + _INSTEAD
        )
    # The longest prefix first: `glrtr-` is no `glrt-`.
    for prefix in sorted(_NO_USE, key=len, reverse=True):
        if token.startswith(prefix):
            raise _useless(_NO_USE[prefix])


def _useless(what: str) -> MltrailError:
    return unauthenticated(f"This is {what}. {_INSTEAD}")
