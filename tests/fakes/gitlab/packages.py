"""The files of GitLab's own runs and models, and the packages that they are in.

https://docs.gitlab.com/api/packages/ and https://docs.gitlab.com/user/packages/generic_packages/
"""

from typing import TYPE_CHECKING, Any

from flask import Flask, Response, request

from . import ml_shapes
from .door import Door, missing, paged, unknown
from .ml_routes import BASE, absent, readable
from .ml_state import Package

if TYPE_CHECKING:
    from .fake import FakeGitLab


def mount(app: Flask, fake: "FakeGitLab", door: Door) -> None:
    _mount_artifacts(app, fake, door)
    _mount_packages(app, door)


def _sent(package: Package | None, path: str) -> Response:
    """A file. GitLab answers ranges, and says which bytes it is about."""
    content = package.files.get(path) if package is not None else None
    if content is None:
        absent()
    name = path.rpartition("/")[2]
    return Response(content, headers={"Content-Disposition": f'attachment; filename="{name}"'})


def _mount_artifacts(app: Flask, fake: "FakeGitLab", door: Door) -> None:
    base = f"{BASE}/mlflow-artifacts/artifacts"

    @app.get(base)
    def artifacts(ref: str) -> dict[str, Any]:
        """All files of a folder at once; none of a folder below, so that MLflow takes it for a file."""
        if not fake.since("17.5"):
            unknown()
        project = readable(door, ref)
        folder, _, below = request.args["path"].partition("/")
        if below:
            return {"files": []}
        return {"files": ml_shapes.artifacts(project.ml.packaged(folder) or absent())}

    @app.get(f"{base}/<folder>/<path:path>")
    def artifact(ref: str, folder: str, path: str) -> Response:
        if not fake.since("17.5"):
            unknown()
        return _sent(readable(door, ref).ml.packaged(folder), path)


def _mount_packages(app: Flask, door: Door) -> None:
    base = "/api/v4/projects/<project:ref>/packages"

    @app.get(base)
    def packages(ref: str) -> Response:
        """Names are matched in part."""
        asked = request.args
        found = [
            ml_shapes.package(one)
            for one in door.project(ref).ml.packages.values()
            if one.kind == asked.get("package_type", one.kind) and asked.get("package_name", "") in one.name
        ]
        return paged(found)

    @app.get(f"{base}/<int:number>/package_files")
    def package_files(ref: str, number: int) -> Response:
        found = door.project(ref).ml.packages.get(number)
        return paged(ml_shapes.package_files(found)) if found is not None else missing("Not Found")

    @app.get(f"{base}/generic/<name>/<version>/<path:path>")
    def generic(ref: str, name: str, version: str, path: str) -> Response:
        kept = door.project(ref).ml.packages.values()
        found = (one for one in kept if (one.kind, one.name, one.version) == ("generic", name, version))
        return _sent(next(found, None), path)

    @app.get(f"{base}/ml_models/<folder>/files/<path:path>")
    def of_model(ref: str, folder: str, path: str) -> Response:
        return _sent(door.project(ref).ml.packaged(folder), path)
