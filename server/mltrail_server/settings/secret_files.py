"""Secrets in files: for each secret setting X, the variable X_FILE may name a file that holds it.

Docker, Kubernetes and systemd (`LoadCredential=`) hand secrets over in files, which neither `ps` nor a dump of the
environment shows. No message repeats what is in a file, or a variable that does not look like a path: it may be the
secret itself, set as the wrong variable.
"""

import stat
from collections.abc import Collection, Mapping
from pathlib import Path

from mltrail_server.domain.errors import Code, MltrailError

SUFFIX = "_FILE"
_MOST_BYTES = 64 * 1024


def with_secrets_read(environment: Mapping[str, str], secrets: Collection[str]) -> dict[str, str]:
    """Return the environment with the content of each file in the variable of its secret.

    Raises INVALID if a file can't be read or holds nothing, and if the variable itself is set, too.
    """
    files = {variable: environment.get(variable + SUFFIX, "").strip() for variable in secrets}
    named = {variable: name for variable, name in files.items() if name}
    for variable in sorted(named):
        if environment.get(variable, "").strip():
            raise _wrong(f"{variable} and {variable}{SUFFIX} are both set; remove one of them")
    read = {variable: _content(variable + SUFFIX, name) for variable, name in sorted(named.items())}
    return {name: value for name, value in environment.items() if name not in variables_of(secrets)} | read


def variables_of(secrets: Collection[str]) -> set[str]:
    return {variable + SUFFIX for variable in secrets}


def _content(variable: str, name: str) -> str:
    path = Path(name)
    if not path.is_absolute():
        raise _wrong(f"{variable} must be the absolute path of a file that holds the secret, such as /run/secrets/it")
    try:
        if stat.S_ISFIFO(path.stat().st_mode):  # it would be waited for, perhaps for ever, and can be read only once
            raise _wrong(f"{variable} names {path}, which is a pipe and not a file")
        with path.open("rb") as file:
            content = file.read(_MOST_BYTES + 1)
        text = content.decode("utf-8")
    except OSError as error:
        raise _wrong(f"{variable} names {path}, which can't be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise _wrong(f"{variable} names {path}, which contains no text") from error
    if len(content) > _MOST_BYTES:
        raise _wrong(f"{variable} names {path}, which is too large for a secret")
    if not text.strip():
        raise _wrong(f"{variable} names {path}, which is empty")
    return text


def _wrong(message: str) -> MltrailError:
    return MltrailError(Code.INVALID, message)
