"""Run all checks of this client, and print the outcome of each as a line of JSON."""

import importlib
import json
import logging
import pkgutil
import sys
import time
import traceback
import warnings
from importlib.util import find_spec

import checks
import mlflow
from checks.registry import CHECKS, Desk


def main(wanted: list[str]) -> None:
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    for module in pkgutil.iter_modules(checks.__path__):
        own = module.name.startswith("__") or (module.name == "gitlab" and not find_spec("gitlab_mlops"))
        if not own:
            importlib.import_module(f"checks.{module.name}")
    for name, function in CHECKS.items():
        if wanted and not any(word in name for word in wanted):
            continue
        started = time.monotonic()
        error = None
        try:
            function(Desk())
        except BaseException:  # noqa: BLE001 - whatever it is, the other checks go on
            error = traceback.format_exc()
        while mlflow.active_run():
            mlflow.end_run()
        sys.stdout.write(json.dumps({"name": name, "error": error, "seconds": time.monotonic() - started}) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
