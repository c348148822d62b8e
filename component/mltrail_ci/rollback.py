"""`mltrail rollback`: point an alias at the version where it was before, or at one of your choice."""

import json
from argparse import ArgumentParser, Namespace

from . import errors
from .api import Api
from .outputs import console, text


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help="name of the model")
    parser.add_argument("--alias", default="champion", help="alias to move (default %(default)s)")
    parser.add_argument("--to", metavar="VERSION", help="this version, by number or X.Y.Z (default: the one before)")
    parser.add_argument("--expected", metavar="VERSION", help="do nothing unless the alias points at this version now")
    parser.add_argument("--reason", metavar="TEXT", help="why; it stands in the alias's history")


def run(api: Api, options: Namespace) -> int:
    wishes = {name: getattr(options, name) for name in ("reason", "expected") if getattr(options, name)}
    if options.to:
        answer = api.move_alias(options.model, options.alias, wishes | {"version": options.to.removeprefix("v")})
    else:
        answer = api.roll_back(options.model, options.alias, wishes)
    if options.json:
        console.tell(json.dumps(answer, indent=2))
    else:
        was = f", was {answer['replaces']}" if answer.get("replaces") else ""
        console.tell(text.clean(f"{options.model} {answer.get('version')} is now {answer.get('alias')}{was}"))
    return errors.DONE
