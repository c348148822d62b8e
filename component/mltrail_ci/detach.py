"""`mltrail detach`: give a run a time limit and a token of its own, so that it outlives the job that launches it."""

import json
import os
import re
import shlex
from argparse import ArgumentParser, Namespace

from . import errors, responses
from .api import Api
from .outputs import console, files, text

_UNITS = {"m": 60, "h": 3600, "d": 86_400}


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--for",
        dest="time",
        required=True,
        metavar="TIME",
        help="time within which the run must end: 90m, 72h, 3d; at most 30d",
    )
    parser.add_argument("--run", metavar="ID", help="a run that this job has started (default: a new one)")
    parser.add_argument("--experiment", metavar="NAME", help="experiment of the new run; MLFLOW_EXPERIMENT_NAME")
    parser.add_argument("--name", help="name of the new run")
    parser.add_argument(
        "--env",
        default="mltrail-detached.env",
        metavar="FILE",
        help="write the variables that the training needs, including its token (default mltrail-detached.env)",
    )


def run(api: Api, options: Namespace) -> int:
    wanted = {"run_id": options.run, "name": options.name, "experiment": None}
    if not options.run:
        wanted["experiment"] = options.experiment or os.environ.get("MLFLOW_EXPERIMENT_NAME")
        if not wanted["experiment"]:
            raise errors.usage("Which run? Give --run with its ID, or --experiment to start a new one.")
    files.check(options.env)
    response = api.detach({key: value for key, value in wanted.items() if value} | {"seconds": _seconds(options.time)})
    detached = responses.detached(response)
    variables = {
        "MLFLOW_TRACKING_URI": f"{api.settings.base}/mlflow",
        "MLFLOW_TRACKING_TOKEN": detached.token,
        "MLFLOW_RUN_ID": detached.run_id,
    }
    lines = [f"export {name}={shlex.quote(value)}\n" for name, value in variables.items()]
    files.write(options.env, "".join(lines), secret=True)
    if options.json:
        # Everything printed is in the job's log, so the token is not printed.
        console.write(
            json.dumps(
                {key: value for key, value in response.items() if key != "token"} | {"env": options.env}, indent=2
            )
        )
    else:
        console.write(
            text.clean(
                f"Run {detached.run_id} can go on training until {_moment(detached.until_ms)}  {detached.url}".rstrip()
            )
        )
        console.write(
            text.clean(f"Its training runs `. {options.env}` and then `mlflow.start_run()`, which resumes this run.")
        )
    return errors.DONE


def _seconds(time: str) -> int:
    found = re.fullmatch(r"([0-9]{1,6})([mhd])", time)
    if not found:
        raise errors.usage(f"--for takes a number and a unit, such as 90m, 72h or 3d, not {time!r}.")
    return int(found[1]) * _UNITS[found[2]]


def _moment(milliseconds: int) -> str:
    from datetime import UTC, datetime  # noqa: PLC0415 - only here

    return f"{datetime.fromtimestamp(milliseconds / 1000, UTC):%Y-%m-%d %H:%M} UTC"
