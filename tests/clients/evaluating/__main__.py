"""Run all checks of this client, and print what each saw as a line of JSON."""

import importlib
import json
import logging
import os
import pkgutil
import sys
import time
import traceback
import warnings

import evaluating
import mlflow
from evaluating.registry import CHECKS, VERSION, Desk

TRACING = frozenset({"searches", "traces", "traces_in_background"})
"""What clients can import that don't evaluate without Databricks."""


def main(wanted: list[str]) -> None:
    warnings.simplefilter("ignore")
    if not os.environ.get("SHOW_WARNINGS"):
        logging.disable(logging.WARNING)
    for module in pkgutil.iter_modules(evaluating.__path__):
        if not module.name.startswith("__") and (VERSION >= (3, 5) or module.name in TRACING):
            importlib.import_module(f"evaluating.{module.name}")
    for name, function in CHECKS.items():
        if wanted and not any(word in name for word in wanted):
            continue
        started = time.monotonic()
        saw = error = None
        try:
            desk = Desk(name)
            saw = desk.normal(function(desk))
        except BaseException:  # noqa: BLE001 - whatever it is, the other checks go on
            error = traceback.format_exc()
        while mlflow.active_run():
            mlflow.end_run()
        seconds = time.monotonic() - started
        sys.stdout.write(json.dumps({"name": name, "saw": saw, "error": error, "seconds": seconds}) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
