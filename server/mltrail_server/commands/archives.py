"""A project's archive, for `mltrail-server export` and `import --from-archive`; and `mltrail-server move-project`."""

import argparse
import json
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from mltrail_server.domain.errors import invalid
from mltrail_server.settings import Settings

from .arguments import Commands, Parser
from .opening import open_server

if TYPE_CHECKING:
    from mltrail_server.services.archives.importing import Imported
    from mltrail_server.services.context.deps import Deps
    from mltrail_server.services.identity.projects import NamedProject

_TRUST = {
    "same": "It is signed with this server's own key, so everything is as it was.",
    "moved": (
        "It is signed with this server's own key. Pipelines, jobs and merge requests refer to the former GitLab or "
        "project, and are never confused with new ones."
    ),
    "foreign": (
        "It is not signed with this server's key, so nothing is verified, and everything is marked as imported. To "
        "keep the evidence, give both servers the same MLTRAIL_SIGNING_KEY and export again."
    ),
}


def add(commands: Commands, shared: Parser) -> None:
    parser = commands.add_parser(
        "move-project",
        parents=[shared],
        help="move a project's data to another project ID, for example after the project was imported into another "
        "GitLab",
        epilog="A project that is renamed or transferred keeps its ID and need not be moved. Exit code 0: it was "
        "moved; 2: wrong use, or the move failed and nothing was changed.",
    )
    parser.add_argument("--from", dest="source", metavar="ID", required=True, help="the project's former ID or path")
    parser.add_argument("--to", metavar="PATH_OR_ID", required=True, help="the new project, which must be empty here")
    parser.add_argument("--quiet", action="store_true", help="no progress on standard error")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    parser.set_defaults(run=run_move)


def run_export(settings: Settings, options: argparse.Namespace) -> int:
    from mltrail_server.services.archives import writer
    from mltrail_server.services.identity import projects

    deps = open_server(settings)
    project = projects.named(deps, options.project)
    done = writer.export(deps, project.project_id, options.to, progress=_progress(options))
    manifest = done.manifest
    if options.json:
        lost = [{"blob": one.blob_id, "names": one.names, "why": one.why} for one in done.lost]
        report = {"to": str(options.to), "project": project.path, "signed": done.signed, "lost": lost}
        counts = {**manifest.counts, "bytes of files": manifest.blobs.bytes}
        print(json.dumps({**report, "counts": counts}))
        return 1 if done.lost else 0
    for one in done.lost:
        print(one.line())
    for name, count in manifest.counts.items():
        print(f"{count:>14,}  {name}")
    print(f"{manifest.blobs.bytes:>14,}  bytes of files")
    print(f"Wrote project {project.path} to {options.to}, {'signed' if done.signed else 'without a signature'}.")
    if not done.signed:
        print("Set MLTRAIL_SIGNING_KEY to keep stamps and promotions verified on servers with the same key.")
    return 1 if done.lost else 0


def run_import(settings: Settings, options: argparse.Namespace) -> int:
    from mltrail_server.services.archives import importing

    _refuse_others(options)
    deps = open_server(settings)
    target = _target(deps, options.project) if options.project else None
    done = importing.import_archive(deps, options.from_archive, target, progress=_progress(options))
    _report(done, f"Imported {options.from_archive} into", options)
    return 1 if done.differs else 0


def run_move(settings: Settings, options: argparse.Namespace) -> int:
    from mltrail_server.services.archives import moves
    from mltrail_server.services.identity import projects

    deps = open_server(settings)
    source, target = projects.named(deps, options.source), _target(deps, options.to)
    done = moves.move(deps, source, target, progress=_progress(options))
    _report(done, f"Moved project {source.path} ({source.project_id}) to", options)
    return 0


def _target(deps: "Deps", project: str) -> "NamedProject":
    from mltrail_server.services.identity.projects import NamedProject
    from mltrail_server.services.imports import destinations

    return NamedProject(*destinations.find(deps, project))


def _refuse_others(options: argparse.Namespace) -> None:
    given = {
        "--experiment": options.experiment,
        "--model": options.model,
        "--files": options.files,
        "--reread": options.reread,
        "--dry-run": options.dry_run,
        "--rehearse": options.rehearse,
        "--report": options.report,
        "--gitlab-project": options.gitlab_project,
        "--artifacts": options.artifacts,
        "--artifacts-root": options.artifacts_root,
    }
    for name, value in given.items():
        if value:
            raise invalid(f"{name} can't be used with --from-archive: an archive is imported as a whole or not at all.")


def _report(done: "Imported", what: str, options: argparse.Namespace) -> None:
    from mltrail_server.services.archives import importing

    target = done.target
    if options.json:
        print(json.dumps(importing.as_json(done)))
        return
    for name, here, there in importing.counted(done):
        print(f"{there:>14,}  {here:>14,}  {name}" if here != there else f"{there:>14,}  {'the same':>14}  {name}")
    blobs = f"blobs with {done.bytes:,} bytes; {done.resumed:,} were already here"
    print(f"{done.manifest.blobs.count:>14,}  {done.blobs:>14,}  {blobs}")
    for blob_id in done.missing:
        print(f"missing: the content of blob {blob_id}, which the other server had lost, too")
    for line in done.changed:
        print(f"changed: {line}")
    for name, why in importing.reasons(done).items():
        print(f"left out: {done.left_out[name]:,} rows of {name}: {why}")
    print(f"{what} {target.path} ({target.project_id}). {_TRUST[done.trust.value]}")


def _progress(options: argparse.Namespace) -> Callable[[str], None]:
    if options.quiet:
        return lambda _line: None
    return lambda line: print(line, file=sys.stderr, flush=True)
