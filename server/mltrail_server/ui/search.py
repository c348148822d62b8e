"""Search over all that a person may see: a page, and the same as JSON for the dialog that `Ctrl-K` opens."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from urllib.parse import urlencode

from flask import jsonify, redirect, request
from flask.typing import ResponseReturnValue

from mltrail_server.domain import jumps
from mltrail_server.domain.candidate import Status
from mltrail_server.domain.errors import Code, MltrailError
from mltrail_server.domain.ids import ProjectId
from mltrail_server.services.context.deps import Deps
from mltrail_server.services.identity import memberships
from mltrail_server.services.pages import search
from mltrail_server.services.pages.search import Found, Unsearched
from mltrail_server.store.pages.search import FoundRun, FoundVersion

from . import session
from .across import Across
from .render import segment

_ON_PAGE = 25
_IN_DIALOG = 5
_LONGEST = 200

_STATUSES = {
    Status.RUNNING: "running",
    Status.SCHEDULED: "scheduled",
    Status.FINISHED: "",
    Status.FAILED: "failed",
    Status.KILLED: "canceled",
}


@dataclass(frozen=True, slots=True)
class Hit:
    """One line of the results. `detail` is what tells things of the same name apart."""

    title: str
    url: str
    project: str
    detail: str = ""
    at_ms: int | None = None


@dataclass(frozen=True, slots=True)
class HitGroup:
    """The hits of one kind. `more` is set if there may be others."""

    kind: str
    hits: list[Hit]
    more: bool


@dataclass(frozen=True, slots=True)
class _Asked:
    text: str
    project: str
    deleted: bool


def show(deps: Deps) -> ResponseReturnValue:
    asked = _asked()
    found = _found(deps, asked, limit=_ON_PAGE)
    across = Across(deps)
    groups = _groups(found, across.pages, limit=_ON_PAGE)
    if target := _direct(asked.text, groups):
        return redirect(target, 302)
    return across.page(
        "search.html",
        asked=asked,
        groups=groups,
        shortest=search.SHORTEST,
        notes=_notes(found.unsearched, asked.project),
        projects=len(found.paths),
        search_project=asked.project,
    )


def as_json(deps: Deps) -> ResponseReturnValue:
    """Answer fewer hits of each kind. Without a session, it says so in an error: a redirect would be a page."""
    asked = _asked()
    try:
        found = _found(deps, asked, limit=_IN_DIALOG)
    except MltrailError as error:
        if error.code is not Code.UNAUTHENTICATED:
            raise
        return jsonify(error="You are signed out."), 401
    groups = _groups(found, Across(deps).pages, limit=_IN_DIALOG)
    answer = jsonify(groups=[asdict(one) for one in groups], notes=_notes(found.unsearched, asked.project))
    answer.headers["Cache-Control"] = "private, no-store"
    return answer


def _found(deps: Deps, asked: _Asked, *, limit: int) -> Found:
    token = session.finder(deps)(request)
    with deps.slow_call_limit.hold_across(memberships.caller(token)):
        return search.search(deps, token, asked.text, project=asked.project, deleted=asked.deleted, limit=limit)


def _asked() -> _Asked:
    arguments = request.args
    text = arguments.get("q", "").replace("\0", "").strip()[:_LONGEST]
    return _Asked(text, arguments.get("project", "").strip(), arguments.get("deleted") == "1")


def _direct(text: str, groups: list[HitGroup]) -> str | None:
    """Return where a number leads that only one thing has."""
    jump = jumps.read(text)
    exact = jump.merge_request is not None or len(jump.digits) == 32
    hits = [hit for group in groups for hit in group.hits]
    return hits[0].url if exact and len(hits) == 1 else None


def _groups(found: Found, pages: Callable[[str], str], *, limit: int) -> list[HitGroup]:
    def made(kind: str, hits: Iterable[Hit]) -> Iterator[HitGroup]:
        listed = list(hits)
        if listed:
            yield HitGroup(kind, listed, len(listed) >= limit)

    paths = found.paths
    base = {number: pages(path) for number, path in paths.items()}
    return [
        *made("Versions", (_version(one, base[one.project_id], paths[one.project_id]) for one in found.versions)),
        *made("Pipelines", _pipelines(found, base)),
        *made(
            "Experiments",
            (
                Hit(
                    one.name,
                    f"{base[one.project_id]}/experiments/{one.iid}",
                    paths[one.project_id],
                    "deleted" if one.deleted else "",
                    one.updated_ms,
                )
                for one in found.experiments
            ),
        ),
        *made(
            "Models",
            (
                Hit(
                    one.name,
                    f"{base[one.project_id]}/{'prompts' if one.is_prompt else 'models'}/{segment(one.name)}",
                    paths[one.project_id],
                    "prompt" if one.is_prompt else "",
                    one.updated_ms,
                )
                for one in found.models
            ),
        ),
        *made("Runs", (_run(one, base[one.project_id], paths[one.project_id]) for one in found.runs)),
        *made(
            "Merge requests",
            (
                Hit(
                    f"!{one.iid} {one.title}",
                    f"{base[one.project_id]}/merge_requests/{one.iid}",
                    paths[one.project_id],
                    f"{one.state}, {one.source_branch}",
                )
                for one in found.requests
            ),
        ),
        *made(
            "Datasets",
            (
                Hit(
                    one.name,
                    f"{base[one.project_id]}/datasets/{segment(one.digest)}?{urlencode({'name': one.name})}",
                    paths[one.project_id],
                    one.digest,
                )
                for one in found.datasets
            ),
        ),
    ]


def _version(one: FoundVersion, base: str, path: str) -> Hit:
    url = f"{base}/models/{segment(one.model)}/versions/{one.number}"
    return Hit(f"{one.model} {one.semver}", url, path, "", one.created_ms)


def _run(one: FoundRun, base: str, path: str) -> Hit:
    states = (one.experiment, one.user_name, _STATUSES[one.status], "deleted" if one.deleted else "")
    return Hit(one.name, f"{base}/candidates/{one.iid}", path, ", ".join(filter(None, states)), one.at_ms)


def _pipelines(found: Found, base: dict[ProjectId, str]) -> Iterator[Hit]:
    """Lead from a pipeline to its merge request, for whoever may see that, and else to its runs in a table."""
    for one in found.pipelines:
        runs = [run for run in found.runs if run.project_id == one.project_id]
        where = f"{one.ref}, {one.sha[:8]}"
        if one.merge_request_iid is not None and one.project_id in found.request_projects:
            url = f"{base[one.project_id]}/merge_requests/{one.merge_request_iid}?pipeline={one.id}"
        elif runs:
            only = urlencode({"filter": f"tags.`gitlab.CI_PIPELINE_ID` = '{one.id}'"})
            url = f"{base[one.project_id]}/experiments/{runs[0].experiment_iid}?{only}"
        else:
            continue
        yield Hit(f"#{one.id}", url, found.paths[one.project_id], where)


def _notes(unsearched: Unsearched, project: str) -> list[str]:
    """Say what was not looked through."""
    notes = []
    if unsearched.first:
        whose = f" of {project}" if project else ""
        notes.append(f"Among the runs{whose}, only the newest {unsearched.first:,} were searched by name.")
    if unsearched.others:
        others = "other projects" if project else "projects"
        notes.append(f"In {others} with many runs, only the newest {unsearched.others:,} were searched by name.")
    if unsearched.left_out:
        notes.append(f"Runs of {unsearched.left_out} less active projects were not searched.")
    return notes
