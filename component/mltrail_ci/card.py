"""`mltrail card`: the model card of a version, as Markdown."""

import json
from argparse import ArgumentParser, Namespace
from pathlib import Path

from . import errors
from .api import Api


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help="name of the model")
    parser.add_argument(
        "version", metavar="VERSION", nargs="?", default="champion", help="number, X.Y.Z or alias (default %(default)s)"
    )
    parser.add_argument("--output", metavar="FILE", help="write it to a file, for a release's notes")


def run(api: Api, options: Namespace) -> int:
    answer = api.card(options.model, options.version.removeprefix("v"))
    text = str(answer["markdown"])
    if options.output:
        path = Path(options.output)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    if options.json:
        print(json.dumps(answer, indent=2))
    elif not options.output:
        print(text, end="")
    return errors.DONE
