"""What kind of token is this? GitLab tells most kinds by their prefix, and so do our refusals.

https://docs.gitlab.com/security/tokens/#token-prefixes
"""

from .errors import MltrailError, unauthenticated

JOB_TOKEN_PREFIX = "glcbt-"  # noqa: S105 - a prefix, not a secret
DETACHED_PREFIX = "mltd-"
_PERSONAL_PREFIX = "glpat-"
_LONGEST_JWT = 16_384
_LONGEST = 1024

_NO_USE = {
    "gldt-": "a deploy token, which GitLab's API does not take",
    "gloas-": "the secret of an OAuth application, not a token that such an application gets",
    "glptt-": "a pipeline trigger token, which starts pipelines and nothing else",
    "glrt-": "a runner's token, which fetches jobs and nothing else",
    "glrtr-": "a runner's registration token, which registers runners and nothing else",
    "glft-": "a feed token, which reads feeds and nothing else",
    "glimt-": "a token for incoming mail",
    "glagent-": "the token of a Kubernetes agent",
    "glsoat-": "a SCIM token, which keeps users in step and nothing else",
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
    """Tell a `CI_JOB_TOKEN`. Newer ones are a JWT behind their prefix, so the prefix decides."""
    return token.startswith(JOB_TOKEN_PREFIX)


def is_detached(token: str) -> bool:
    """Tell a token that this server has given to a training that outlives its job."""
    return token.startswith(DETACHED_PREFIX)


def bare(token: str) -> str:
    """Take off the prefix of personal tokens before a JWT: the gitlab-mlops client insists on that prefix."""
    rest = token.removeprefix(_PERSONAL_PREFIX)
    return rest if is_jwt(rest) or is_detached(rest) else token


def check_form(token: str) -> None:
    """Refuse, before GitLab is asked, what can be no token of use here. The token itself is never told.

    Raises UNAUTHENTICATED with what it seems to be and what to use instead.
    """
    longest = _LONGEST_JWT if is_jwt(token) or is_job_token(token) or is_detached(token) else _LONGEST
    if len(token) > longest or not (token.isascii() and token.isprintable()) or " " in token:
        raise unauthenticated(
            "This is no token that GitLab makes: it is too long, or holds spaces or odd characters. "
            "Copy it again, without quotes and line ends."
        )
    if token.startswith(("$", "%")) or token in ("[MASKED]", "null", "None"):
        raise unauthenticated(
            "The token is the name of a variable and not its value: the variable is not set in this job. "
            "Is it protected, and the branch not? " + _INSTEAD
        )
    # The longest prefix first: `glrtr-` is no `glrt-`.
    for prefix in sorted(_NO_USE, key=len, reverse=True):
        if token.startswith(prefix):
            raise _useless(_NO_USE[prefix])


def _useless(what: str) -> MltrailError:
    return unauthenticated(f"This is {what}. {_INSTEAD}")
