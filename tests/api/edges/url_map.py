"""The rules of Flask's URL map, as calls that a test can make."""

import re

PUBLIC = {
    "/",
    "/healthz",
    "/readyz",
    "/metrics",  # for this machine, or with a token of its own
    "/-/assets/<name>",
    "/api/v4/projects/<project:project>/ml/mlflow",
    "/api/v4/projects/<project:project>/ml/mlflow/",
    "/-/sign-in",
    "/-/sign-in/gitlab",
    "/-/sign-in/callback",
    "/-/sign-out",
    # Over several projects: they ask for a session themselves, see tests/ui/test_across_rights.py.
    "/-/models",
    "/-/search",
    "/-/search.json",
}


def url_of(rule: str) -> str:
    return re.sub(r"<(?:int:)[^>]+>", "1", re.sub(r"<project:project>", "1", rule)).replace("<", "").replace(">", "")
