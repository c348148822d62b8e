"""MLflow's own client, where it is installed: it makes one call as the training will, and the result is reported.

It alone knows all that it goes by: `.netrc`, proxies, certificates, plugins, versions.
"""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from mltrail_ci.redaction import hidden

from . import Check

_SECONDS = 120  # loading MLflow takes long on a small machine
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
told = {{"version": mlflow.__version__, "error": ""}}
try:
    MlflowClient().search_experiments(max_results=1)
except Exception as error:
    told["error"] = type(error).__name__ + ": " + str(error)
print("\\n{_MARK}" + json.dumps(told))
"""


def checks(variables: Mapping[str, str]) -> Iterator[Check]:
    """One check where there is a MLflow, none where there is none."""
    for python in _pythons():
        told = _call(python, variables)
        if told is None:
            continue
        whose = f"MLflow {told['version']} of {python}"
        if not told["error"]:
            yield Check("MLflow's client", ok=True, message=f"{whose} reaches the server and may read there")
            return
        reason = " ".join(hidden(str(told["error"])).split())[:600]
        yield Check(
            "MLflow's client",
            ok=False,
            message=f"{whose}, called as in training, fails: {reason} Problems above may be the cause.",
        )
        return


def _pythons() -> list[str]:
    """This Python, and the one that a job's script calls."""
    found = [sys.executable, shutil.which("python"), shutil.which("python3")]
    return list(dict.fromkeys(filter(None, found)))


def _call(python: str, variables: Mapping[str, str]) -> dict[str, Any] | None:
    """None where there is no MLflow that can be loaded."""
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
        told = next(json.loads(line.removeprefix(_MARK)) for line in reversed(lines) if line.startswith(_MARK))
    except (OSError, ValueError, StopIteration, subprocess.SubprocessError):
        return None
    return told if isinstance(told, dict) and {"version", "error"} <= told.keys() else None
