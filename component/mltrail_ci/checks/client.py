"""MLflow's own client, if it is installed, makes one call as the training will, and the result is reported.

Only the client itself knows everything it depends on: `.netrc`, proxies, certificates, plugins, versions.
"""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from mltrail_ci.redaction import hidden

from . import Check

_SECONDS = 120  # loading MLflow takes a long time on a small machine
_MARK = "mltrail-doctor:"
_CALL = f"""
import json, logging, sys, warnings
warnings.simplefilter("ignore")
try:
    import mlflow
    from mlflow.tracking import MlflowClient
except ImportError:
    sys.exit(3)
logging.disable(logging.CRITICAL)
result = {{"version": mlflow.__version__, "error": ""}}
try:
    MlflowClient().search_experiments(max_results=1)
except Exception as error:
    result["error"] = type(error).__name__ + ": " + str(error)
print("\\n{_MARK}" + json.dumps(result))
"""


def checks(variables: Mapping[str, str]) -> Iterator[Check]:
    """One check if MLflow is installed, otherwise none."""
    for python in _pythons():
        result = _call(python, variables)
        if result is None:
            continue
        client = f"MLflow {result['version']} of {python}"
        if not result["error"]:
            yield Check("MLflow's client", ok=True, message=f"{client} reaches the server and can read there")
            return
        reason = " ".join(hidden(str(result["error"])).split())[:600]
        yield Check(
            "MLflow's client",
            ok=False,
            message=f"{client}, called as in training, fails: {reason} The problems above may be the cause.",
        )
        return


def _pythons() -> list[str]:
    """This Python, and the one that the job's script calls."""
    found = [sys.executable, shutil.which("python"), shutil.which("python3")]
    return list(dict.fromkeys(filter(None, found)))


def _call(python: str, variables: Mapping[str, str]) -> dict[str, Any] | None:
    """None if MLflow is not installed or can't be loaded."""
    patience = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "20", "PYTHONUTF8": "1"}
    try:
        ran = subprocess.run(  # noqa: S603 - the Python that the job itself calls
            [python, "-c", _CALL],
            env=dict(variables) | patience,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_SECONDS,
            check=False,
        )
        lines = ran.stdout.decode("utf-8", "replace").splitlines()
        result = next(json.loads(line.removeprefix(_MARK)) for line in reversed(lines) if line.startswith(_MARK))
    except (OSError, ValueError, StopIteration, subprocess.SubprocessError):
        return None
    return result if isinstance(result, dict) and {"version", "error"} <= result.keys() else None
