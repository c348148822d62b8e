"""`mltrail runs`: the runs that this pipeline has logged."""

import json
from argparse import ArgumentParser, Namespace

from . import answers, errors
from .answers import Candidate
from .api import Api
from .outputs import console, text


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--metric", action="append", metavar="NAME", help="show this metric; may be repeated")


def run(api: Api, options: Namespace) -> int:
    answer = api.candidates()
    candidates = answers.candidates(answer)
    if options.json:
        console.tell(json.dumps(answer, indent=2))
    else:
        console.tell(_table(candidates, options.metric) if candidates else "This pipeline has logged no runs.")
    return errors.DONE


def _table(candidates: list[Candidate], wanted: list[str] | None) -> str:
    metrics = wanted or sorted({name for one in candidates for name in one.metrics})[:6]
    rows = [["run", "name", "status", "job", *metrics]]
    for one in candidates:
        values = [text.number(one.metrics.get(name)) for name in metrics]
        rows.append([str(one.iid), one.name, one.status, one.job_id, *values])
    return text.table(rows, right=range(4, 4 + len(metrics)))
