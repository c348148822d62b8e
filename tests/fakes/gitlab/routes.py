"""The stand-in's URLs, with GitLab's answers and errors."""

import re
from typing import TYPE_CHECKING, Any

from flask import Flask, Response, g, jsonify, request
from werkzeug.exceptions import HTTPException, abort

from . import detectors, shapes
from .state import Job, MergeRequest, Note, Pipeline, Project, Token

if TYPE_CHECKING:
    from .fake import FakeGitLab

READ_SCOPES = {"api", "read_api"}


def make_app(fake: "FakeGitLab") -> Flask:  # noqa: C901, PLR0915 - a flat list of small routes
    app = Flask("fake_gitlab")
    app.url_map.merge_slashes = False

    @app.before_request
    def count_and_fail() -> Response | None:
        with fake.lock:
            fake.requests.append((request.method, request.path))
            g.fault = next(
                (one for one in fake.faults if one.method == request.method and re.search(one.path, request.path)), None
            )
            if g.fault is None:
                return None
            fake.faults.remove(g.fault)
        return None if g.fault.after else _fault(g.fault)

    @app.after_request
    def fail_after(response: Response) -> Response:
        return _fault(g.fault) if g.get("fault") and g.fault.after else response

    @app.errorhandler(HTTPException)
    def told(error: HTTPException) -> tuple[Response, int]:
        return jsonify({"message": error.description}), error.code or 500

    def token() -> Token:
        text = request.headers.get("PRIVATE-TOKEN") or request.headers.get("Authorization", "").removeprefix("Bearer ")
        found = fake.tokens.get(text)
        if found is None or found.revoked:
            abort(401, "401 Unauthorized")
        return found

    def caller() -> Token:
        found = token()
        needed = READ_SCOPES if request.method == "GET" else {"api"}
        if not needed & set(found.scopes):
            abort(403, "insufficient_scope")
        return found

    def project_of(ref: str, level: int = 10) -> Project:
        user = caller().user
        found = next((one for one in fake.projects.values() if ref in (str(one.id), one.path)), None)
        if found is None or (user.id not in found.members and found.visibility != "public"):
            abort(404, "404 Project Not Found")
        if found.members.get(user.id, 10) < level:
            abort(403, "403 Forbidden")
        return found

    def pipeline_of(project: Project, number: int) -> Pipeline:
        found = fake.pipelines.get(number)
        if found is None or found.project_id != project.id:
            abort(404, "404 Not found")
        return found

    def request_of(project: Project, iid: int) -> MergeRequest:
        return project.merge_requests.get(iid) or abort(404, "404 Not found")

    def shown_job(project: Project, job: Job) -> dict[str, Any]:
        return shapes.job(fake.url, project.path, job, fake.status_of(job.pipeline))

    def shown_request(project: Project, one: MergeRequest) -> dict[str, Any]:
        head = fake.projects[one.source_project_id].branches.get(one.source_branch)
        return shapes.merge_request(fake.url, project, one, head)

    def paged(items: list[Any]) -> Response:
        page, size = int(request.args.get("page", 1)), min(int(request.args.get("per_page", 20)), 100)
        response = jsonify(items[(page - 1) * size : page * size])
        response.headers["X-Total"] = str(len(items))
        response.headers["X-Page"] = str(page)
        response.headers["X-Per-Page"] = str(size)
        if page * size < len(items):
            response.headers["X-Next-Page"] = str(page + 1)
            rest = "&".join(f"{key}={value}" for key, value in request.args.items() if key != "page")
            response.headers["Link"] = f'<{request.base_url}?{rest}&page={page + 1}>; rel="next"'
        return response

    @app.get("/.well-known/openid-configuration")
    def discovery() -> dict[str, Any]:
        return {
            "issuer": fake.url,
            "jwks_uri": f"{fake.url}/oauth/discovery/keys",
            "id_token_signing_alg_values_supported": ["RS256"],
        }

    @app.get("/oauth/discovery/keys")
    def jwks() -> dict[str, Any]:
        return {"keys": [fake.login_key.jwk, fake.ci_key.jwk]}

    @app.get("/api/v4/version")
    def version() -> dict[str, Any]:
        caller()
        return {"version": "18.6.0", "revision": "0123abc"}

    @app.get("/api/v4/personal_access_tokens/self")
    def token_self() -> dict[str, Any]:
        found = token()
        return {
            "id": 1,
            "name": "token",
            "revoked": False,
            "active": True,
            "created_at": shapes.AT,
            "scopes": found.scopes,
            "user_id": found.user.id,
            "last_used_at": None,
            "expires_at": "2027-11-21",
        }

    @app.get("/api/v4/user")
    def user() -> dict[str, Any]:
        return shapes.user(fake.url, caller().user) | {"bot": False}

    @app.get("/api/v4/projects/<path:ref>")
    def project(ref: str) -> dict[str, Any]:
        found = project_of(ref)
        return shapes.project(fake.url, found, found.members.get(token().user.id))

    @app.get("/api/v4/projects/<ref>/members/all/<int:user_id>")
    def member(ref: str, user_id: int) -> dict[str, Any]:
        found = project_of(ref)
        if user_id not in found.members:
            abort(404, "404 Not found")
        return shapes.user(fake.url, fake.users[user_id]) | {"access_level": found.members[user_id], "expires_at": None}

    @app.get("/api/v4/projects/<ref>/pipelines/<int:number>")
    def pipeline(ref: str, number: int) -> dict[str, Any]:
        where = project_of(ref)
        found = pipeline_of(where, number)
        return shapes.pipeline(fake.url, where.path, found, fake.status_of(found))

    @app.get("/api/v4/projects/<ref>/pipelines/<int:number>/jobs")
    def pipeline_jobs(ref: str, number: int) -> Response:
        where = project_of(ref)
        jobs = sorted(fake.jobs_of(pipeline_of(where, number)), key=lambda job: -job.id)
        retried = request.args.get("include_retried", "false").lower() in ("true", "1")
        return paged([shown_job(where, job) for job in jobs if retried or not job.retried])

    @app.get("/api/v4/projects/<ref>/jobs/<int:number>")
    def job(ref: str, number: int) -> dict[str, Any]:
        where = project_of(ref)
        found = fake.jobs.get(number)
        if found is None or found.pipeline.project_id != where.id:
            abort(404, "404 Not found")
        return shown_job(where, found)

    @app.get("/api/v4/projects/<ref>/merge_requests")
    def merge_requests(ref: str) -> Response:
        where = project_of(ref)
        wanted = {
            name: request.args[name] for name in ("source_branch", "target_branch", "state") if name in request.args
        }
        found = [
            one
            for one in where.merge_requests.values()
            if all(getattr(one, name) == value for name, value in wanted.items())
        ]
        return paged([shown_request(where, one) for one in found])

    @app.get("/api/v4/projects/<ref>/merge_requests/<int:iid>")
    def merge_request(ref: str, iid: int) -> dict[str, Any]:
        where = project_of(ref)
        return shown_request(where, request_of(where, iid))

    @app.get("/api/v4/projects/<ref>/repository/commits")
    def commits(ref: str) -> Response:
        where = project_of(ref)
        name = request.args.get("ref_name", where.default_branch)
        shas = where.ancestors(where.branches.get(name, name))
        return paged([shapes.commit(fake.url, where.path, sha, where.commits[sha].parents) for sha in shas])

    @app.get("/api/v4/projects/<ref>/repository/commits/<sha>/merge_requests")
    def commit_merge_requests(ref: str, sha: str) -> Response:
        where = project_of(ref)
        requests = where.merge_requests.values()
        found = [
            one
            for one in requests
            if one.merge_commit_sha == sha
            or (sha in where.ancestors(where.branches.get(one.source_branch, "")) and sha != one.base_sha)
        ]
        return paged([shown_request(where, one) for one in found])

    @app.get("/api/v4/projects/<ref>/repository/files/<path:name>/raw")
    def raw_file(ref: str, name: str) -> str:
        where = project_of(ref)
        sha = where.branches.get(request.args.get("ref", ""), request.args.get("ref", where.default_branch))
        files = where.commits[sha].files if sha in where.commits else {}
        return files.get(name) or abort(404, "404 File Not Found")

    @app.get("/api/v4/projects/<ref>/merge_requests/<int:iid>/notes")
    def notes(ref: str, iid: int) -> Response:
        found = request_of(project_of(ref), iid).notes
        ordered = found if request.args.get("sort") == "asc" else found[::-1]
        return paged([shapes.note(fake.url, one) for one in ordered])

    @app.post("/api/v4/projects/<ref>/merge_requests/<int:iid>/notes")
    def create_note(ref: str, iid: int) -> tuple[Response, int]:
        where = project_of(ref, 20)
        found = request_of(where, iid)
        body = read(request.get_json()["body"])
        with fake.lock:
            note = Note(fake.number("note"), body, caller().user, found.id, found.iid, where.id)
            found.notes.append(note)
        return jsonify(shapes.note(fake.url, note)), 201

    @app.put("/api/v4/projects/<ref>/merge_requests/<int:iid>/notes/<int:number>")
    def update_note(ref: str, iid: int, number: int) -> dict[str, Any]:
        where = project_of(ref)
        found = next((one for one in request_of(where, iid).notes if one.id == number), None)
        if found is None:
            abort(404, "404 Not found")
        if found.author.id != caller().user.id and where.members[caller().user.id] < 40:
            abort(403, "403 Forbidden")
        found.body = read(request.get_json()["body"])
        return shapes.note(fake.url, found)

    def read(body: str) -> str:
        with fake.lock:
            fake.quick_actions += detectors.quick_actions(body)
            fake.mentions += detectors.mentions(body)
            fake.references += detectors.references(body)
        return body

    return app


def _fault(fault: Any) -> Response:
    return Response("something went wrong", status=fault.status, headers=fault.headers)
