"""`mltrail card`: the model card of a version, as Markdown."""

import json
from argparse import ArgumentParser, Namespace

from . import answers, errors
from .api import Api
from .outputs import console, files


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help="name of the model")
    parser.add_argument(
        "version", metavar="VERSION", nargs="?", default="champion", help="number, X.Y.Z or alias (default %(default)s)"
    )
    parser.add_argument("--output", metavar="FILE", help="write it to a file, for a release's notes")


def run(api: Api, options: Namespace) -> int:
    answer = api.card(options.model, options.version.removeprefix("v"))
    text = answers.card(answer)
    files.write(options.output, text)
    if options.json:
        console.tell(json.dumps(answer, indent=2))
    elif not options.output:
        console.tell(text, end="")
    return errors.DONE
