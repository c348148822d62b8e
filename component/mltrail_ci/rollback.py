"""`mltrail rollback`: point an alias back at the version it pointed at before, or at one of your choice."""

import json
from argparse import ArgumentParser, Namespace

from . import errors
from .api import Api
from .outputs import console, text


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help="name of the model")
    parser.add_argument("--alias", default="champion", help="alias to move (default %(default)s)")
    parser.add_argument("--to", metavar="VERSION", help="this version, by number or X.Y.Z (default: the previous one)")
    parser.add_argument("--expected", metavar="VERSION", help="do nothing unless the alias points at this version now")
    parser.add_argument("--reason", metavar="TEXT", help="reason, recorded in the alias's history")


def run(api: Api, options: Namespace) -> int:
    wanted = {name: getattr(options, name) for name in ("reason", "expected") if getattr(options, name)}
    if options.to:
        response = api.move_alias(options.model, options.alias, wanted | {"version": options.to.removeprefix("v")})
    else:
        response = api.roll_back(options.model, options.alias, wanted)
    if options.json:
        console.write(json.dumps(response, indent=2))
    else:
        was = f", was {response['replaces']}" if response.get("replaces") else ""
        console.write(text.clean(f"{options.model} {response.get('version')} is now {response.get('alias')}{was}"))
    return errors.DONE
