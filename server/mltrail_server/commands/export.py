"""`mltrail-server export`: export a project from this server, as our own archive or for MLflow's tools."""

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from mltrail_server.settings import Settings

from . import archives
from .arguments import Commands, Parser
from .opening import open_server

if TYPE_CHECKING:
    from mltrail_server.domain.transfer import Counts

_EPILOG = (
    "Exit code 0: everything is in the folder; 1: something is missing, and each loss is listed; 2: wrong use, or "
    "the export failed. To resume an interrupted export, run the command again."
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
    formats = {"archive": archives.run_export, "mlflow": _for_mlflow}
    return formats[options.format](settings, options)


def _for_mlflow(settings: Settings, options: argparse.Namespace) -> int:
    from mltrail_server.domain.transfer import Entity
    from mltrail_server.services.exports import layout
    from mltrail_server.services.identity import projects

    deps = open_server(settings)
    project = projects.named(deps, options.project)

    def show(counts: "Counts") -> None:
        runs = counts[Entity.RUN] + counts[Entity.DELETED_RUN]
        line = f"{runs:,} runs, {counts[Entity.POINT]:,} points, {counts[Entity.FILE]:,} files"
        print(f"\r{line}", end="", file=sys.stderr, flush=True)

    progress = show if sys.stderr.isatty() and not options.quiet else lambda _counts: None
    written = layout.write(deps, deps.project(project.project_id), project.path, options.to, progress)
    if options.json:
        print(json.dumps(written.as_json()))
        return 1 if written.findings.lost else 0
    for finding in written.findings.kept:
        print(finding.line())
    for entity in Entity:
        if written.counts[entity]:
            print(f"{written.counts[entity]:,} {entity.value}")
    if written.findings.lost:
        print(f"Incomplete: {written.findings.lost:,} losses, listed above and in {layout.STATE}.")
        return 1
    print(f"Project {project.path} is in {options.to}. Load it into an MLflow server with {layout.LOADER}.")
    return 0
