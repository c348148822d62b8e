"""`mltrail-server export`: take a project out of this server, as an archive of ours or for MLflow's tools."""

import argparse
from pathlib import Path

from mltrail_server.domain.errors import invalid
from mltrail_server.settings import Settings

from . import archives
from .arguments import Commands, Parser

_EPILOG = (
    "Exit code 0: everything is in the folder; 1: something is missing, and each is listed; 2: wrong use, or it could "
    "not go on. An export that was interrupted goes on when the command is repeated."
)


def add(commands: Commands, shared: Parser) -> None:
    parser = commands.add_parser(
        "export", parents=[shared], help="write a project into a folder: an archive, or for MLflow", epilog=_EPILOG
    )
    parser.add_argument("--to", metavar="DIR", type=Path, required=True, help="folder to write to: new or empty")
    parser.add_argument("--project", metavar="PATH_OR_ID", required=True, help="the project, by path or ID")
    parser.add_argument(
        "--format",
        choices=("archive", "mlflow"),
        default="archive",
        help="archive: everything, for mltrail (default); mlflow: for mlflow-export-import and a stock MLflow server",
    )
    parser.add_argument("--quiet", action="store_true", help="no progress on standard error")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    parser.set_defaults(run=run)


def run(settings: Settings, options: argparse.Namespace) -> int:
    formats = {"archive": archives.run_export, "mlflow": _not_yet}
    return formats[options.format](settings, options)


def _not_yet(_settings: Settings, _options: argparse.Namespace) -> int:
    raise invalid("This format is not available yet.")
