"""`mltrail card`: the model card of a version, as Markdown."""

import json
from argparse import ArgumentParser, Namespace

from . import errors, responses
from .api import Api
from .outputs import console, files


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help="name of the model")
    parser.add_argument(
        "version", metavar="VERSION", nargs="?", default="champion", help="number, X.Y.Z or alias (default %(default)s)"
    )
    parser.add_argument("--output", metavar="FILE", help="write it to a file, for example for release notes")


def run(api: Api, options: Namespace) -> int:
    response = api.card(options.model, options.version.removeprefix("v"))
    text = responses.card(response)
    files.write(options.output, text)
    if options.json:
        console.write(json.dumps(response, indent=2))
    elif not options.output:
        console.write(text, end="")
    return errors.DONE
