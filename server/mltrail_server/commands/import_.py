"""`mltrail-server import`: bring a history from elsewhere into a project."""

import argparse
from pathlib import Path

from mltrail_server.domain.errors import invalid
from mltrail_server.settings import Settings

from .arguments import Commands, Parser

_EPILOG = (
    "Secrets come from the environment: MLTRAIL_IMPORT_TOKEN, or MLTRAIL_IMPORT_USERNAME and MLTRAIL_IMPORT_PASSWORD. "
    "Exit code 0: everything is here; 1: there are differences, each of which is listed; "
    "2: wrong use, or it could not go on."
)


def add(commands: Commands, shared: Parser) -> None:
    parser = commands.add_parser(
        "import",
        parents=[shared],
        help="bring runs, models and files from elsewhere into a project; again, only what is new",
        epilog=_EPILOG,
    )
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--from-mlflow", metavar="URL", help="an MLflow server, or another mltrail, by its REST API")
    source.add_argument("--from-database", metavar="URL", help="an MLflow database: sqlite, postgresql or mysql")
    source.add_argument("--from-folder", metavar="DIR", type=Path, help="an ./mlruns folder")
    source.add_argument("--from-export", metavar="DIR", type=Path, help="a folder written by mlflow-export-import")
    source.add_argument("--from-gitlab", metavar="URL", help="a GitLab's own experiments and models")
    source.add_argument("--from-archive", metavar="DIR", type=Path, help="a folder written by mltrail-server export")
    source.add_argument("--map", metavar="FILE", type=Path, help="a YAML file: several projects, users, other names")
    parser.add_argument("--gitlab-project", metavar="PATH", help="with --from-gitlab: the project there, by path or ID")
    parser.add_argument("--project", metavar="PATH_OR_ID", help="the project here that all of it goes into")
    parser.add_argument(
        "--experiment", metavar="GLOB", action="append", default=[], help="only these experiments; can be repeated"
    )
    parser.add_argument(
        "--model", metavar="GLOB", action="append", default=[], help="only these registered models; can be repeated"
    )
    parser.add_argument(
        "--files",
        choices=("copy", "in-place", "leave"),
        help="copy files (default), register where they lie, or leave them out",
    )
    parser.add_argument("--dry-run", action="store_true", help="read everything but files, and write nothing")
    parser.add_argument(
        "--rehearse", action="store_true", help="measure the source by a sample, and say how long an import will take"
    )
    parser.add_argument("--report", metavar="FILE", type=Path, help="write every finding there, as JSON lines")
    parser.add_argument("--quiet", action="store_true", help="no progress on standard error")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    parser.set_defaults(run=run)


def run(_settings: Settings, options: argparse.Namespace) -> int:
    _check(options)
    raise invalid("This import is not available yet.")


def _check(options: argparse.Namespace) -> None:
    if options.map and (options.project or options.experiment or options.model or options.files):
        raise invalid("--project, --experiment, --model and --files are said in the map file: leave them out.")
    if not options.map and not options.project:
        raise invalid("--project is missing: the path or ID of the project that the history goes into.")
    if bool(options.from_gitlab) != bool(options.gitlab_project):
        raise invalid("--from-gitlab and --gitlab-project go together: the URL of GitLab, and the project there.")
