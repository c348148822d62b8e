"""`mltrail-server import`: import a history from elsewhere into a project."""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from mltrail_server.domain.errors import invalid
from mltrail_server.settings import Settings

from . import archives
from .arguments import Commands, Parser
from .opening import open_server

if TYPE_CHECKING:
    from mltrail_server.domain.transfer import Findings, Source
    from mltrail_server.services.context.deps import Deps
    from mltrail_server.services.imports.map_file import ImportMap
    from mltrail_server.services.imports.plan import Plan

_EPILOG = (
    "Secrets come from the environment: MLTRAIL_IMPORT_TOKEN, or MLTRAIL_IMPORT_USERNAME and "
    "MLTRAIL_IMPORT_PASSWORD. Exit code 0: everything is here; 1: there are differences, and each is listed; 2: "
    "wrong use, or the import failed."
)


def add(commands: Commands, shared: Parser) -> None:
    parser = commands.add_parser(
        "import",
        parents=[shared],
        help="import runs, models and files from elsewhere into a project; when repeated, only what is new",
        epilog=_EPILOG,
    )
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument(
        "--from-mlflow", metavar="URL", help="an MLflow server, or another mltrail server, over its REST API"
    )
    source.add_argument("--from-database", metavar="URL", help="an MLflow database: sqlite, postgresql or mysql")
    source.add_argument("--from-folder", metavar="DIR", type=Path, help="an ./mlruns folder")
    source.add_argument("--from-export", metavar="DIR", type=Path, help="a folder written by mlflow-export-import")
    source.add_argument("--from-gitlab", metavar="URL", help="GitLab's built-in experiments and models")
    source.add_argument("--from-archive", metavar="DIR", type=Path, help="a folder written by mltrail-server export")
    source.add_argument(
        "--map", metavar="FILE", type=Path, help="a YAML file for several projects, user names, renaming"
    )
    parser.add_argument("--gitlab-project", metavar="PATH", help="with --from-gitlab: the project there, by path or ID")
    parser.add_argument("--project", metavar="PATH_OR_ID", help="the project here to import into")
    parser.add_argument(
        "--experiment", metavar="GLOB", action="append", default=[], help="only these experiments; can be repeated"
    )
    parser.add_argument(
        "--model", metavar="GLOB", action="append", default=[], help="only these registered models; can be repeated"
    )
    parser.add_argument(
        "--files",
        choices=("copy", "in-place", "leave"),
        help="copy files (default), leave them where they are, or don't import them",
    )
    parser.add_argument(
        "--artifacts",
        metavar="PLACE",
        action="append",
        default=[],
        help="a folder or bucket that the import may read files from, or OLD=NEW if it has moved; can be repeated",
    )
    parser.add_argument(
        "--artifacts-root",
        metavar="PLACE",
        help="folder, bucket or tracking server with the files whose URIs begin with mlflow-artifacts:",
    )
    parser.add_argument(
        "--reread",
        action="store_true",
        help="look again at everything that was imported, not only at what has changed: finds files that were added to "
        "runs after they had ended",
    )
    parser.add_argument("--dry-run", action="store_true", help="read everything except files, and write nothing")
    parser.add_argument(
        "--rehearse", action="store_true", help="read a sample, and estimate how long an import will take"
    )
    parser.add_argument("--report", metavar="FILE", type=Path, help="write every finding to this file, as JSON lines")
    parser.add_argument("--quiet", action="store_true", help="no progress on standard error")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    parser.set_defaults(run=run)


def run(settings: Settings, options: argparse.Namespace) -> int:
    from mltrail_server.domain.transfer import Findings

    from . import import_source

    if options.report is not None:
        options.report.open("a").close()  # better now than after hours of importing

    if options.from_archive:
        return archives.run_import(settings, options)
    _check(options)
    deps = open_server(settings)
    wanted = _wanted(options)
    plans = _plans(deps, wanted, reread=options.reread)
    # All of them are wanted in the file; on the screen, the first of each kind.
    findings = Findings(most=sys.maxsize) if options.report is not None else Findings()
    source = import_source.open_source(settings, wanted.source, findings)
    try:
        if options.rehearse:
            return _rehearse(source, options)
        return _import(deps, source, plans, findings, options)
    finally:
        source.close()


def _import(
    deps: "Deps", source: "Source", plans: "list[Plan]", findings: "Findings", options: argparse.Namespace
) -> int:
    from mltrail_server.services.imports import importer
    from mltrail_server.services.imports.progress import Progress
    from mltrail_server.services.imports.report import finding_json

    write = None if options.quiet else _to_stderr
    progress = Progress(time.monotonic, write, terminal=sys.stderr.isatty())
    try:
        report = importer.bring(deps, source, plans, findings, progress, dry_run=options.dry_run)
    except KeyboardInterrupt:
        print("\nStopped. What was imported so far is kept; run it again to resume.", file=sys.stderr)
        return 2
    finally:
        progress.end()
        if options.report is not None:
            lines = "".join(f"{finding_json(one)}\n" for one in findings.kept)
            options.report.write_text(lines, encoding="utf-8", errors="backslashreplace")
    print(json.dumps(report.as_json()) if options.json else "\n".join(report.lines()))
    return 0 if report.clean else 1


def _rehearse(source: "Source", options: argparse.Namespace) -> int:
    from mltrail_server.services.imports import rehearsal

    found = rehearsal.rehearse(source, time.monotonic)
    print(json.dumps(found.as_json()) if options.json else "\n".join(found.lines()))
    return 0


def _to_stderr(text: str) -> None:
    print(text, end="", file=sys.stderr, flush=True)


def _wanted(options: argparse.Namespace) -> "ImportMap":
    from mltrail_server.services.imports import map_file
    from mltrail_server.services.imports.plan import FilesMode

    if options.map:
        return map_file.read(options.map.read_text(encoding="utf-8", errors="replace"), str(options.map))
    given = {
        map_file.Kind.MLFLOW: options.from_mlflow,
        map_file.Kind.DATABASE: options.from_database,
        map_file.Kind.FOLDER: options.from_folder,
        map_file.Kind.EXPORT: options.from_export,
        map_file.Kind.GITLAB: options.from_gitlab,
    }
    kind, address = next((kind, str(address)) for kind, address in given.items() if address)
    places = tuple(options.artifacts)
    source = map_file.SourceSpec(kind, address, options.gitlab_project or "", places, options.artifacts_root or "")
    files = FilesMode(options.files or FilesMode.COPY)
    part = map_file.Part(options.project, tuple(options.experiment), tuple(options.model), files)
    return map_file.ImportMap(source, (part,))


def _plans(deps: "Deps", wanted: "ImportMap", *, reread: bool) -> "list[Plan]":
    from mltrail_server.services.imports import destinations
    from mltrail_server.services.imports.plan import Plan

    plans = []
    for part in wanted.parts:
        project_id, path = destinations.find(deps, part.project)
        plans.append(
            Plan(
                project_id,
                path,
                part.experiments,
                part.models,
                part.files,
                part.renames,
                wanted.users,
                only_models=bool(part.models and not part.experiments),
                only_experiments=bool(part.experiments and not part.models),
                reread=reread,
            )
        )
    return plans


def _check(options: argparse.Namespace) -> None:
    chosen = options.project or options.experiment or options.model or options.files
    if options.map and (chosen or options.artifacts or options.artifacts_root):
        raise invalid(
            "--project, --experiment, --model, --files, --artifacts and --artifacts-root belong in the map file: "
            "leave them out."
        )
    if not options.map and not options.project:
        raise invalid("--project is missing: the path or ID of the project to import into.")
    if bool(options.from_gitlab) != bool(options.gitlab_project):
        raise invalid("--from-gitlab (GitLab's URL) and --gitlab-project (the project there) must be used together.")
