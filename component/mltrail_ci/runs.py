"""`mltrail runs`: the runs that this pipeline has logged."""

import json
from argparse import ArgumentParser, Namespace

from . import errors, responses
from .api import Api
from .outputs import console, text
from .responses import Candidate


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--metric", action="append", metavar="NAME", help="show this metric; can be given several times"
    )


def run(api: Api, options: Namespace) -> int:
    response = api.candidates()
    candidates = responses.candidates(response)
    if options.json:
        console.write(json.dumps(response, indent=2))
    else:
        console.write(_table(candidates, options.metric) if candidates else "This pipeline has logged no runs.")
    return errors.DONE


def _table(candidates: list[Candidate], wanted: list[str] | None) -> str:
    metrics = wanted or sorted({name for one in candidates for name in one.metrics})[:6]
    rows = [["run", "name", "status", "job", *metrics]]
    for one in candidates:
        values = [text.number(one.metrics.get(name)) for name in metrics]
        rows.append([str(one.iid), one.name, one.status, one.job_id, *values])
    return text.table(rows, right=range(4, 4 + len(metrics)))
