"""The environment of all tests, and of what they start: nothing in it that a job, a shell or a machine may have set."""

import os
import re

_OF_OTHERS = re.compile(
    # What mltrail, MLflow and the component read; what GitLab's and others' runners set; what clients of S3, PostgreSQL
    # and Git are set up by; what Flask and gunicorn would take for theirs.
    r"(MLTRAIL|MLFLOW|GITLAB|FF|RUNNER|PG|FLASK|WERKZEUG|GUNICORN|GRANIAN|PROMETHEUS)_\w+|CI|CI_\w+|PG[A-Z]+"
    r"|AWS_(ACCESS|SECRET|SESSION|DEFAULT|PROFILE|REGION|ENDPOINT|CONFIG|SHARED|ROLE|WEB)\w*"
    r"|GIT_(DIR|WORK_TREE|INDEX_FILE|CONFIG\w*|AUTHOR_\w+|COMMITTER_\w+|CEILING_DIRECTORIES)"
)
# Of our own. None begins with MLTRAIL_, or the servers that tests start would refuse it as a misspelt setting.
_KEPT = {"GITLAB_API_SCHEMAS"}
_THIS_MACHINE = "127.0.0.1,localhost,::1"


def without_settings() -> dict[str, str]:
    """Return the environment for a server that gets all its settings from a test."""
    return {name: value for name, value in os.environ.items() if not name.startswith("MLTRAIL_")}


def clean() -> None:
    """Take out what is set for others, and have no proxy asked for what is on this machine."""
    for name in [name for name in os.environ if _OF_OTHERS.fullmatch(name) and name not in _KEPT]:
        del os.environ[name]
    for name in ("no_proxy", "NO_PROXY"):
        os.environ[name] = ",".join(filter(None, (os.environ.get(name), _THIS_MACHINE)))
