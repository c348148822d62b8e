"""Keys and tokens: what GitLab signs, with its exact claims and their types.

https://docs.gitlab.com/ci/secrets/id_token_authentication/#token-payload
"""

import functools
import json
import uuid
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

from .state import Job, Project, numbers_of

LEVELS = {5: "minimal", 10: "guest", 15: "planner", 20: "reporter", 30: "developer", 40: "maintainer", 50: "owner"}


@functools.cache
def _private(kid: str) -> rsa.RSAPrivateKey:
    """Create a key once per process, since it takes a tenth of a second."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


class SigningKey:
    def __init__(self, kid: str) -> None:
        self.kid = kid
        self.private = _private(kid)

    @property
    def jwk(self) -> dict[str, str]:
        made = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(self.private.public_key()))
        return {"kty": "RSA", "kid": self.kid, "e": made["e"], "n": made["n"], "use": "sig", "alg": "RS256"}


def claims_of(
    job: Job, *, source: Project, target: Project, issuer: str, aud: str | list[str], now: int
) -> dict[str, Any]:
    """Claims of a job's ID token. In a merge request pipeline of a fork, `source` is the fork: GitLab then sends its
    project and the user's level *there*, and only the `job_project_*` claims say where the job runs.
    """
    pipeline = job.pipeline
    request = pipeline.merge_request
    ref = request.source_branch if request else pipeline.ref
    ref_type = "tag" if pipeline.tag else "branch"
    level = source.members.get(job.user.id)
    return {
        "iss": issuer,
        "aud": aud,
        "sub": f"project_path:{source.path}:ref_type:{ref_type}:ref:{ref}",
        "jti": str(uuid.uuid4()),
        "iat": now,
        "nbf": now - 5,
        "exp": now + 3600,
        "namespace_id": str(source.id + 1000),
        "namespace_path": source.path.rpartition("/")[0],
        "project_id": str(source.id),
        "project_path": source.path,
        "job_namespace_id": str(target.id + 1000),
        "job_namespace_path": target.path.rpartition("/")[0],
        "job_project_id": str(target.id),
        "job_project_path": target.path,
        "user_id": str(job.user.id),
        "user_login": job.user.username,
        "user_email": f"{job.user.username}@example.com",
        "user_access_level": LEVELS.get(level) if level else None,
        "pipeline_id": str(pipeline.id),
        "pipeline_source": pipeline.source,
        "job_id": str(job.id),
        "ref": ref,
        "ref_type": ref_type,
        "ref_path": f"refs/{'tags' if pipeline.tag else 'heads'}/{ref}",
        "ref_protected": "true" if ref in source.protected else "false",
        "runner_id": 1,
        "runner_environment": "self-hosted",
        "sha": pipeline.sha,
        "project_visibility": target.visibility,
        "ci_config_ref_uri": f"gitlab.example.com/{source.path}//.gitlab-ci.yml@refs/heads/{ref}",
        "ci_config_sha": pipeline.sha,
    }


def sign(claims: dict[str, Any], key: SigningKey) -> str:
    return jwt.encode(claims, key.private, algorithm="RS256", headers={"kid": key.kid})


def as_of(version: str, claims: dict[str, Any], *, target: Project) -> dict[str, Any]:
    """The claims that an older GitLab sends."""
    numbers = numbers_of(version)
    if numbers < (18, 4):
        claims = {name: value for name, value in claims.items() if not name.startswith("job_")} | {
            "job_id": claims["job_id"]
        }
    if numbers < (18, 2, 2):
        # The project in which the job runs, even with a fork's code.
        claims |= {"project_id": str(target.id), "project_path": target.path}
    return claims
