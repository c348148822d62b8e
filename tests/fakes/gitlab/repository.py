"""Commits, branches and files. https://docs.gitlab.com/api/commits/ and https://docs.gitlab.com/api/repository_files/"""

from typing import TYPE_CHECKING, Any

from flask import Flask, Response, request

from . import diffs, shapes
from .door import Door, missing, paged
from .state import Commit, Project

if TYPE_CHECKING:
    from .fake import FakeGitLab


def mount(app: Flask, fake: "FakeGitLab", door: Door) -> None:
    _mount_compare(app, fake, door)
    base = "/api/v4/projects/<project:ref>/repository"

    def at(where: Project, name: str | None, what: str) -> Commit:
        """The commit of a branch or SHA; without a name, the default branch's."""
        name = name or where.default_branch
        return where.commits.get(where.branches.get(name, name)) or missing(what)

    def shown(where: Project, sha: str) -> dict[str, Any]:
        return shapes.commit(fake.url, where.path, sha, where.commits[sha].parents, where.commits[sha].message)

    @app.get(f"{base}/commits")
    def commits(ref: str) -> Response:
        where = door.code(ref)
        newest = at(where, request.args.get("ref_name"), "Commit Not Found")
        path = request.args.get("path")
        found = [sha for sha in where.ancestors(newest.sha) if path is None or where.changes(sha, path)]
        return paged([shown(where, sha) for sha in found])

    @app.get(f"{base}/commits/<sha>")
    def commit(ref: str, sha: str) -> dict[str, Any]:
        where = door.code(ref)
        found = at(where, sha, "Commit Not Found").sha
        runs = [one for one in fake.pipelines.values() if one.project_id == where.id and one.sha == found]
        newest = shapes.pipeline(fake.url, where.path, runs[-1], fake.status_of(runs[-1])) if runs else None
        return shown(where, found) | {
            "stats": {"additions": 1, "deletions": 1, "total": 2},
            "status": newest["status"] if newest else None,
            "last_pipeline": shapes.basic(newest) if newest else None,
            "project_id": where.id,
        }

    @app.get(f"{base}/branches/<path:name>")
    def branch(ref: str, name: str) -> dict[str, Any]:
        where = door.code(ref)
        if name not in where.branches:
            missing("Branch Not Found")
        return {
            "name": name,
            "commit": shown(where, where.branches[name]),
            "merged": False,
            "protected": name in where.protected,
            "developers_can_push": False,
            "developers_can_merge": False,
            "can_push": True,
            "default": name == where.default_branch,
            "web_url": f"{fake.url}/{where.path}/-/tree/{name}",
        }

    @app.get(f"{base}/files/<path:name>/raw")
    def raw_file(ref: str, name: str) -> str | bytes:
        files = at(door.code(ref), request.args.get("ref"), "Commit Not Found").files
        return files[name] if name in files else missing("File Not Found")

    @app.get(f"{base}/tree")
    def tree(ref: str) -> Response:
        files = at(door.code(ref), request.args.get("ref"), "Tree Not Found").files
        folder = request.args.get("path", "").strip("/")
        inside = [name for name in files if not folder or name.startswith(f"{folder}/")]
        if folder and not inside:
            missing("invalid revision or path Not Found")
        recursive = request.args.get("recursive", "false").lower() in ("true", "1")
        return paged(shapes.tree(files, folder, recursive=recursive))


def _mount_compare(app: Flask, fake: "FakeGitLab", door: Door) -> None:
    @app.get("/api/v4/projects/<project:ref>/repository/compare")
    def compare(ref: str) -> dict[str, Any]:
        where = door.code(ref)
        old, new = (
            where.commits.get(request.args.get(side, "")) or missing("Ref Not Found") for side in ("from", "to")
        )
        found = diffs.between(old.files, new.files, fake.diff_limits)
        commits = [(sha, where.commits[sha]) for sha in where.between(old.sha, new.sha)]
        return {
            "commit": shapes.commit(fake.url, where.path, new.sha, new.parents, new.message),
            "commits": [shapes.commit(fake.url, where.path, sha, one.parents, one.message) for sha, one in commits],
            "diffs": [shapes.diff(one) for one in found.files],
            "compare_timeout": found.overflow,
            "compare_same_ref": old.sha == new.sha,
            "web_url": f"{fake.url}/{where.path}/-/compare/{old.sha}...{new.sha}",
        }
