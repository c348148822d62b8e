"""Files of runs, logged models and versions: read through the server if it can read them, or else where they are
stored.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, BinaryIO
from urllib.parse import urlencode

from mltrail_server.domain import limits
from mltrail_server.domain.model import PROMPT_TAG
from mltrail_server.domain.transfer import (
    Entity,
    FileOwner,
    FileRecord,
    Findings,
    LoggedModelRecord,
    Loss,
    RunRecord,
    TraceRecord,
    VersionRecord,
)
from mltrail_server.sources.artifacts import Artifacts
from mltrail_server.sources.attachments import FOLDER, Attachments
from mltrail_server.sources.downloads import open_file
from mltrail_server.sources.http import LostError
from mltrail_server.sources.listings import files_below
from mltrail_server.sources.paging import pages
from mltrail_server.sources.reading import Json, page, said

from .evaluation_records import LOCATION_TAG
from .server import AJAX, API, Server
from .small_files import OURS, SmallFiles

if TYPE_CHECKING:
    from concurrent.futures import Future

_PROXY = "api/2.0/mlflow-artifacts/artifacts"
_PROXIED = "mlflow-artifacts:/"
_RUNS_AHEAD = 5
_ATTACHMENTS_SINCE = (3, 14)

_Ask = Callable[[str, str], tuple[list[Json], str]]
"""Asks for a page of a folder's list: takes the folder's path and a page token."""


@dataclass(slots=True)
class _Listing:
    """What a thread has found, for the thread that asks."""

    files: list[FileRecord] = field(default_factory=list)
    findings: Findings = field(default_factory=Findings)
    lost: LostError | None = None


class Files:
    def __init__(self, server: Server, artifacts: Artifacts) -> None:
        self._server, self._artifacts = server, artifacts
        self._folder = ""
        self._folders: frozenset[str] | None = None
        self._coming: Sequence[RunRecord] = ()
        self._listings: dict[str, Future[_Listing]] = {}
        self.attachments = Attachments(artifacts, server.findings)
        self._small = SmallFiles(server.rest, server.workers)

    def expect(self, runs: Sequence[RunRecord]) -> None:
        """Take the runs whose files will be listed next, in that order, so that they can be listed in advance."""
        self._coming, self._listings = runs, {}

    def of(self, owner: FileOwner) -> Iterator[FileRecord]:
        """List the files of a run, a logged model or a version, or the attachments of a trace."""
        if isinstance(owner, RunRecord):
            yield from self._small.passed(self._of_run(owner))
        elif isinstance(owner, LoggedModelRecord):
            name = f"logged model {owner.id}"
            if owner.deleted:  # the server says that it does not exist, but its files may
                yield from self._artifacts.files(owner.artifact_uri, name)
            else:
                found = self._of_model(owner.id, owner.artifact_uri, name)
                yield from self._small.passed(self._expected(found, name) if owner.status == "READY" else found)
        elif isinstance(owner, TraceRecord):
            yield from self._of_trace(owner)
        elif owner.tags.get(PROMPT_TAG, "").lower() != "true":
            found = self._expected(self._of_version(owner), f"version {owner.number} of {owner.model}")
            yield from self._small.passed(found)

    def open(self, file: FileRecord) -> BinaryIO:
        if file.uri.startswith(OURS):
            return self._small.taken(file) or open_file(self._server.rest, file.uri, size=file.size)
        return self._artifacts.open(file)

    def content_at(self, uri: str, path: str, owner: str) -> bytes | None:
        """Read a small file of a folder that the history names; None if it is not there."""
        file = next((file for file in self._artifacts.files(uri, owner) if file.path == path), None)
        if file is None:
            return None
        with self._artifacts.open(file) as opened:
            return opened.read(limits.MAX_TRACE_BYTES + 1)

    def _expected(self, files: Iterator[FileRecord], owner: str) -> Iterator[FileRecord]:
        """Report it if there are no files where there must be some."""
        before, found = self._server.findings.lost, False
        for file in files:
            found = True
            yield file
        if not found and self._server.findings.lost == before:
            text = "it has no files; check whether they were moved or deleted"
            self._server.findings.add(Loss.MISSING, Entity.FILE, owner, text)

    def _of_run(self, run: RunRecord) -> Iterator[FileRecord]:
        """List the files of a run, and begin to list those of the runs that come next."""
        position = next((at for at, one in enumerate(self._coming) if one.id == run.id), None)
        for later in (run,) if position is None else self._coming[position : position + _RUNS_AHEAD]:
            if later.id not in self._listings and self._may_have_files(later):
                self._listings[later.id] = self._server.workers.start(partial(self._listing, later))
        if run.id not in self._listings:
            return
        listing = self._listings.pop(run.id).result()
        for finding in listing.findings.kept:
            self._server.findings.add(finding.loss, finding.entity, finding.owner, finding.text)
        yield from listing.files
        if listing.lost is not None:
            yield from self._lost(f"run {run.id}", run.artifact_uri, listing.lost, any_found=bool(listing.files))

    def _listing(self, run: RunRecord) -> "_Listing":
        listing = _Listing()
        ask = self._ask_of_run(run.id)
        try:
            for file in self._below(ask, lambda path: _of_run(run.id, path), "", f"run {run.id}", listing.findings):
                listing.files.append(file)
        except LostError as error:
            listing.lost = error
        return listing

    def _ask_of_run(self, run_id: str) -> _Ask:
        def ask(folder: str, token: str) -> tuple[list[Json], str]:
            query = said({"run_id": run_id, "path": folder, "page_token": token})
            return page(self._server.rest.get(f"{API}/artifacts/list", query), "files")

        return ask

    def _of_model(self, model_id: str, uri: str, owner: str, root: str = "") -> Iterator[FileRecord]:
        def ask(folder: str, token: str) -> tuple[list[Json], str]:
            query = said({"artifact_directory_path": folder, "page_token": token})
            path = f"{API}/logged-models/{model_id}/artifacts/directories"
            return page(self._server.rest.get(path, query), "files")

        def place(path: str) -> str:
            return f"{AJAX}/logged-models/{model_id}/artifacts/files?{urlencode({'artifact_file_path': path})}"

        yield from self._listed(owner, uri, ask, place, root)

    def _of_trace(self, trace: TraceRecord) -> Iterator[FileRecord]:
        """List a trace's attachments: in its folder if the server proxies that or is older than 3.14, or else by their
        call.
        """
        uri = trace.tags.get(LOCATION_TAG, "")
        if uri.startswith(_PROXIED) or self._server.version < _ATTACHMENTS_SINCE:
            yield from self.attachments.of(trace)
            return
        for one in sorted(self.attachments.named(trace)):
            query = urlencode({"request_id": trace.id, "path": one})
            yield FileRecord(f"{FOLDER}{one}", f"{AJAX}/get-trace-artifact?{query}")

    def _of_version(self, version: VersionRecord) -> Iterator[FileRecord]:
        """List the files of a version where its source says that they are: in a run, in a logged model or elsewhere."""
        owner, uri = f"version {version.number} of {version.model}", version.storage_location or version.source
        run_id, path = _in_run(uri, version.run_id)
        if run_id:
            yield from self._listed(owner, uri, self._ask_of_run(run_id), lambda path: _of_run(run_id, path), path)
        elif version.logged_model_id and f"/{version.logged_model_id}/artifacts" in uri:
            path = uri.partition(f"/{version.logged_model_id}/artifacts")[2].strip("/")
            yield from self._of_model(version.logged_model_id, uri, owner, path)
        elif uri:
            yield from self._artifacts.files(uri, owner)

    def _listed(
        self, owner: str, uri: str, ask: _Ask, place: Callable[[str], str], root: str = ""
    ) -> Iterator[FileRecord]:
        """List a folder through the server; where it can't read the folder but we may, list it ourselves."""
        found = False
        try:
            for file in self._below(ask, place, root, owner, self._server.findings):
                found = True
                yield file
        except LostError as error:
            yield from self._lost(owner, uri, error, any_found=found)

    def _lost(self, owner: str, uri: str, error: LostError, *, any_found: bool) -> Iterator[FileRecord]:
        if any_found or uri.startswith((_PROXIED, "runs:", "models:")):
            self._server.lost(Entity.FILE, owner, "its files can't all be listed", error)
        else:
            yield from self._artifacts.files(uri, owner)

    def _below(
        self, ask: _Ask, place: Callable[[str], str], root: str, owner: str, findings: Findings
    ) -> Iterator[FileRecord]:
        def listing(folder: str) -> Iterator[list[Json]]:
            empty = True
            for found in pages(lambda token: ask(f"{root}/{folder}".strip("/"), token), "files"):
                empty = False
                yield found
            if empty and "%" in folder:
                text = (
                    f"the folder {folder.rstrip('/')!r}: its files can't be read, because MLflow decodes %20 in a "
                    "folder's name to a space. Import from the database instead (--from-database), or rename the folder"
                )
                findings.add(Loss.MISSING, Entity.FILE, owner, text)

        for path, size in files_below(listing, owner, findings):
            yield FileRecord(path, place(f"{root}/{path}".lstrip("/")), size)

    def _may_have_files(self, run: RunRecord) -> bool:
        """Whether a run may have files: one call lists the folders of all runs of its experiment. A run that is still
        running may have got one since.
        """
        if run.status == "RUNNING":
            return True
        folder, _, rest = run.artifact_uri.rpartition(f"/{run.id}/")
        if not folder.startswith(_PROXIED) or folder.startswith(f"{_PROXIED}/") or rest != "artifacts":
            return True
        if folder != self._folder:
            self._folder, self._folders = folder, self._folders_in(folder.removeprefix(_PROXIED))
        return self._folders is None or run.id in self._folders

    def _folders_in(self, folder: str) -> frozenset[str] | None:
        try:
            found, token = page(self._server.rest.get(_PROXY, {"path": folder}), "files")
            return None if token else frozenset(str(one["path"]).rpartition("/")[2] for one in found)
        except (LostError, KeyError):
            return None


def _of_run(run_id: str, path: str) -> str:
    return f"get-artifact?{urlencode({'run_uuid': run_id, 'run_id': run_id, 'path': path})}"


def _in_run(uri: str, run_id: str | None) -> tuple[str, str]:
    """Return the run that a URI leads into, and the path in it; empty texts if it leads into none."""
    if uri.startswith("runs:/"):
        of_run, _, path = uri.removeprefix("runs:/").partition("/")
        return of_run, path.strip("/")
    before, found, path = uri.partition(f"/{run_id}/artifacts")
    return (run_id, path.strip("/")) if run_id and before and found else ("", "")
