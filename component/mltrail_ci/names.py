"""`mltrail names`: what models are called in variables, environments and tags. It calls no server."""

import json
from argparse import ArgumentParser, Namespace

from . import errors, naming
from .outputs import console, text


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", nargs="+", help="name of a model")


def run(options: Namespace) -> int:
    rows = [
        {
            "model": model,
            "variable": f"MLTRAIL_VERSION_{naming.variable(model)}",
            "environment": naming.environment(model),
            "tag": naming.tag(model, "1.0.0"),
        }
        for model in options.model
    ]
    if options.json:
        console.write(json.dumps(rows, indent=2))
    else:
        head = ["model", "variable", "environment", "tag of 1.0.0"]
        console.write(text.table([head, *(list(row.values()) for row in rows)]))
    return errors.DONE
