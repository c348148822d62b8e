"""`mltrail winner`: the parameters of this pipeline's best candidate, for a job that trains it again on fresh seeds."""

import json
import time
from argparse import ArgumentParser, Namespace

from . import errors, responses
from .api import Api
from .options import seconds
from .outputs import console, text
from .responses import Model, Report


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--model", metavar="NAME", help="name of the model, if the pipeline trains several")
    parser.add_argument(
        "--timeout", type=seconds, default=300, metavar="SECONDS", help="longest wait for runs to end (default 300)"
    )
    parser.add_argument(
        "--poll", type=seconds, default=3, metavar="SECONDS", help="seconds between two checks (default 3)"
    )


def run(api: Api, options: Namespace) -> int:
    started = time.monotonic()
    while (report := responses.report(api.report())).state == "waiting":
        if time.monotonic() - started + options.poll > options.timeout:
            raise errors.CommandError(
                f"Timed out after {options.timeout:g} s: {text.clean(report.reason)}. Add the training job to "
                "`needs:`.",
                errors.TIMED_OUT,
            )
        time.sleep(options.poll)
    model = _model(report, options.model)
    if model is None or model.best is None:
        raise errors.CommandError("No run of this pipeline has succeeded, so there is no winner.", errors.NO)
    _check_direction(model)
    best = {"model": model.name, "candidate": model.best.iid, "name": model.best.name, "params": model.best.params}
    console.write(json.dumps(best if options.json else model.best.params, indent=2))
    return errors.DONE


def _model(report: Report, wanted: str | None) -> Model | None:
    found = [one for one in report.models if wanted in {None, one.name} and one.candidates]
    if wanted is None and len(found) > 1:
        names = ", ".join(one.name for one in found)
        raise errors.usage(f"This pipeline has trained several models; choose one with --model: {text.clean(names)}")
    return found[0] if found else None


def _check_direction(model: Model) -> None:
    """Check that the best of several was not chosen by a guess. The metric that ranks comes first."""
    succeeded = sum(one.status == "succeeded" for one in model.candidates)
    if model.best is None or succeeded <= model.best.runs or not model.metrics:
        return
    first = model.metrics[0]
    if first.guessed or first.direction not in {"higher", "lower"}:
        raise errors.CommandError(
            f"It is not known which way {text.clean(first.name)} is better, so the winner would be a guess. Say it in "
            "the contract file, for example with `rank_by: {metric: …, better: higher}` below the model.",
            errors.NO,
        )
