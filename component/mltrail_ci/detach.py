"""`mltrail detach`: give a run a time and a token of its own, so that it outlives the job that launches it."""

import json
import os
import re
import shlex
from argparse import ArgumentParser, Namespace

from . import answers, errors
from .api import Api
from .outputs import console, files, text

_UNITS = {"m": 60, "h": 3600, "d": 86_400}


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--for",
        dest="time",
        required=True,
        metavar="TIME",
        help="time until it must have ended: 90m, 72h, 3d; 30d at most",
    )
    parser.add_argument("--run", metavar="ID", help="a run that this job has begun (default: a new one)")
    parser.add_argument("--experiment", metavar="NAME", help="experiment of the new run; MLFLOW_EXPERIMENT_NAME")
    parser.add_argument("--name", help="name of the new run")
    parser.add_argument(
        "--env",
        default="mltrail-detached.env",
        metavar="FILE",
        help="write the variables that the training needs, its token among them (default mltrail-detached.env)",
    )


def run(api: Api, options: Namespace) -> int:
    wishes = {"run_id": options.run, "name": options.name, "experiment": None}
    if not options.run:
        wishes["experiment"] = options.experiment or os.environ.get("MLFLOW_EXPERIMENT_NAME")
        if not wishes["experiment"]:
            raise errors.usage("Which run? Give --run with its id, or --experiment to begin a new one.")
    files.check(options.env)
    answer = api.detach({key: value for key, value in wishes.items() if value} | {"seconds": _seconds(options.time)})
    made = answers.detached(answer)
    variables = {
        "MLFLOW_TRACKING_URI": f"{api.settings.base}/mlflow",
        "MLFLOW_TRACKING_TOKEN": made.token,
        "MLFLOW_RUN_ID": made.run_id,
    }
    lines = [f"export {name}={shlex.quote(value)}\n" for name, value in variables.items()]
    files.write(options.env, "".join(lines), secret=True)
    if options.json:
        # Whatever is printed stands in the job's log, so the token is not.
        console.tell(
            json.dumps({key: value for key, value in answer.items() if key != "token"} | {"env": options.env}, indent=2)
        )
    else:
        console.tell(
            text.clean(f"Run {made.run_id} may keep training until {_moment(made.until_ms)}  {made.url}".rstrip())
        )
        console.tell(
            text.clean(f"Its training does `. {options.env}` and then `mlflow.start_run()`, which resumes this run.")
        )
    return errors.DONE


def _seconds(told: str) -> int:
    found = re.fullmatch(r"([0-9]{1,6})([mhd])", told)
    if not found:
        raise errors.usage(f"--for takes a number and a unit, as in 90m, 72h or 3d, not {told!r}.")
    return int(found[1]) * _UNITS[found[2]]


def _moment(milliseconds: int) -> str:
    from datetime import UTC, datetime  # noqa: PLC0415 - only here

    return f"{datetime.fromtimestamp(milliseconds / 1000, UTC):%Y-%m-%d %H:%M} UTC"
