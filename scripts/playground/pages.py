"""The pages of the playground's GitLab: merge requests with their comments, pipelines, logs, and a button to merge."""

import hmac
import threading
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from flask import Flask, Response, abort, redirect, render_template, request
from tests.fakes.gitlab import MergeRequest, Pipeline
from werkzeug.wrappers import Response as BaseResponse

from scripts.docs_site.notes import as_html

from .pipelines import Pipelines

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


class Front:
    """In front of the stand-in's API: answers pages itself, and passes everything else on."""

    def __init__(self) -> None:
        self.pages: Flask | None = None

    def __call__(self, api: "WSGIApplication") -> "WSGIApplication":
        def serve(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
            path = environ["PATH_INFO"]
            is_page = self.pages is not None and not path.startswith(("/api/", "/oauth/", "/.well-known/"))
            chosen: WSGIApplication = self.pages if is_page and self.pages is not None else api
            return chosen(environ, start_response)

        return serve


def make(pipelines: Pipelines, secret: str) -> Flask:
    app = Flask(__name__)
    churn = pipelines.churn
    app.jinja_env.globals.update(project=churn.project, mltrail=churn.pages, secret=secret)
    app.jinja_env.globals.update(status=churn.gitlab.status_of, jobs_of=churn.gitlab.jobs_of)
    where = f"/{churn.project.path}"
    _mount_pages(app, where, pipelines)
    _mount_pipelines(app, where, pipelines)
    _mount_actions(app, where, pipelines, secret)
    return app


def _mount_pages(app: Flask, where: str, pipelines: Pipelines) -> None:
    churn = pipelines.churn

    @app.get("/")
    @app.get(where)
    def index() -> str:
        requests = [*reversed(churn.project.merge_requests.values())]
        return render_template("project.html", requests=requests, pipelines=pipelines.pipelines())

    @app.get(f"{where}/-/merge_requests/<int:iid>")
    def merge_request(iid: int) -> str:
        one = _existing(pipelines, iid)
        return render_template(
            "merge_request.html",
            request=one,
            pipelines=pipelines.pipelines(one),
            after=_after(pipelines, one),
            notes=[as_html(note.body) for note in churn.gitlab.notes(churn.project, iid)],
            refused=_refused(pipelines, one),
        )

    @app.get(f"{where}/-/compare/<old>...<new>")
    def compare(old: str, new: str) -> str:
        if not {old, new} <= churn.project.commits.keys():
            abort(404)
        return render_template("difference.html", text=pipelines.repository.difference(old, new))


def _mount_pipelines(app: Flask, where: str, pipelines: Pipelines) -> None:
    gitlab = pipelines.churn.gitlab

    @app.get(f"{where}/-/pipelines/<int:number>")
    def pipeline(number: int) -> str:
        one = gitlab.pipelines.get(number) or abort(404)
        return render_template("pipeline.html", pipeline=one, logs=pipelines.logs)

    @app.get(f"{where}/-/jobs/<int:number>")
    def job(number: int) -> BaseResponse:
        one = gitlab.jobs.get(number) or abort(404)
        return redirect(f"{where}/-/pipelines/{one.pipeline.id}#{one.name}")


def _mount_actions(app: Flask, where: str, pipelines: Pipelines, secret: str) -> None:
    @app.post("/-/push")
    def push() -> Response:
        if not hmac.compare_digest(request.headers.get("X-Secret", ""), secret):
            abort(403)
        pushed = request.get_json()
        lines = pipelines.pushed(pushed["ref"], pushed["sha"], pushed["options"])
        return Response((f"{line}\n" for line in lines), mimetype="text/plain")

    @app.post(f"{where}/-/merge_requests/<int:iid>/merge")
    def merge(iid: int) -> BaseResponse:
        one = _existing(pipelines, iid)
        if not hmac.compare_digest(request.form.get("secret", ""), secret) or _refused(pipelines, one):
            abort(403)
        pipeline = pipelines.merge(one)
        if pipeline is None:
            abort(409, "There are conflicts: merge main into your branch first.")
        threading.Thread(target=_exhaust, args=[pipelines.run(pipeline)], daemon=True).start()
        return redirect(f"{where}/-/pipelines/{pipeline.id}", 303)


def _existing(pipelines: Pipelines, iid: int) -> MergeRequest:
    return pipelines.churn.project.merge_requests.get(iid) or abort(404)


def _after(pipelines: Pipelines, one: MergeRequest) -> list[Pipeline]:
    """The pipelines of the commit that a merge has created."""
    return [each for each in pipelines.pipelines() if one.merge_commit_sha and each.sha == one.merge_commit_sha]


def _refused(pipelines: Pipelines, one: MergeRequest) -> str:
    """Why this can't be merged, as in a project in which pipelines must succeed."""
    newest = next(iter(pipelines.pipelines(one)), None)
    state = pipelines.churn.gitlab.status_of(newest) if newest else "missing"
    if one.state != "opened":
        return "It is merged."
    return "" if state == "success" else f"Merge blocked: the pipeline must succeed. It is {state}."


def _exhaust(lines: Iterator[str]) -> None:
    for _ in lines:
        pass
