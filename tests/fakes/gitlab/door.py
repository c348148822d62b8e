"""What all of the stand-in's URLs share: the caller, the project, paging, errors, faults."""

import re
from typing import TYPE_CHECKING, Any, NoReturn

from flask import Flask, Response, g, jsonify, request
from werkzeug.exceptions import HTTPException, abort
from werkzeug.routing import BaseConverter

from . import description, faults
from .state import Project, Token, User

if TYPE_CHECKING:
    from .fake import FakeGitLab

READ_SCOPES = {"api", "read_api"}
GUEST, REPORTER, DEVELOPER, MAINTAINER = 10, 20, 30, 40


class ProjectConverter(BaseConverter):
    """A project's number or its path, which clients send with `%2F`; Flask decodes that before it matches rules."""

    regex = r"[^/].*?"
    part_isolating = False


class Door:
    def __init__(self, app: Flask, fake: "FakeGitLab") -> None:
        self.fake = fake
        app.url_map.merge_slashes = False
        app.url_map.converters["project"] = ProjectConverter
        app.before_request(self._count_and_fail)
        app.after_request(self._fail_after)
        app.after_request(_compare)
        app.register_error_handler(HTTPException, _refusal)

    def token(self) -> Token:
        text = request.headers.get("PRIVATE-TOKEN") or request.headers.get("Authorization", "").removeprefix("Bearer ")
        found = self.fake.tokens.get(text)
        if found is None or found.revoked or self.fake.is_expired(found):
            abort(401, "401 Unauthorized")
        if found.user.state == "blocked":
            abort(403, "403 Forbidden - Your account has been blocked.")
        return found

    def caller(self) -> Token:
        """The caller, with a token whose scopes allow the call."""
        found = self.token()
        needed = READ_SCOPES if request.method == "GET" else {"api"}
        if not needed & set(found.scopes):
            answer = jsonify(
                error="insufficient_scope",
                error_description="The request requires higher privileges than provided by the access token.",
                scope=" ".join(sorted(needed)),
            )
            answer.status_code = 403
            abort(answer)
        return found

    def project(self, ref: str, level: int = GUEST) -> Project:
        """A project by number or path, case-insensitively; hidden from callers without access."""
        user = self.caller().user
        projects = self.fake.projects.values()
        found = next((one for one in projects if ref == str(one.id) or ref.lower() == one.path.lower()), None)
        if found is None or not self.sees(user, found):
            abort(404, "404 Project Not Found")
        if not user.admin and found.members.get(user.id, GUEST) < level:
            abort(403, "403 Forbidden")
        return found

    def code(self, ref: str) -> Project:
        """A project whose code and merge requests the caller can read."""
        hidden = self.project(ref).visibility == "private" and not self.fake.guests_see_code
        return self.project(ref, REPORTER if hidden else GUEST)

    def sees(self, user: User, project: Project) -> bool:
        return user.admin or project.members.get(user.id, 0) >= GUEST or project.visibility in ("public", "internal")

    def level(self, project: Project) -> int:
        return project.members.get(self.caller().user.id, 0)

    def _count_and_fail(self) -> Response | None:
        fake = self.fake
        fake.requests.append((request.method, request.path))
        # Requests that tests make by hand are not checked.
        if "urllib3" not in request.headers.get("User-Agent", ""):
            body = request.get_json(silent=True) if request.is_json else dict(request.form)
            description.look(request.method, _sent_path(), request.args.items(multi=True), body)
        if fake.limited is not None:
            g.fault = None
            return faults.limited(fake.limited, bare=fake.limited_bare)
        fault = next(
            (one for one in fake.faults if one.method == request.method and re.search(one.path, request.path)), None
        )
        g.fault = fault
        if fault is None:
            return None
        fake.faults.remove(fault)
        if fault.after:
            return None
        answer = faults.failed(fake, fault)
        return None if fault.goes_well else answer

    def _fail_after(self, response: Response) -> Response:
        if not g.get("fault") or not g.fault.after:
            return response
        answer = faults.failed(self.fake, g.fault)
        return response if g.fault.goes_well else answer


def _compare(response: Response) -> Response:
    """Compare a response with GitLab's description, unless a fault replaced it."""
    if response.is_json and not g.get("fault"):
        description.look_back(request.method, _sent_path(), response.status_code, response.get_json(silent=True))
    return response


def _sent_path() -> str:
    """The path as it was sent, still encoded."""
    sent: str = request.environ["RAW_URI"]
    return sent.partition("?")[0].removeprefix(request.script_root)


def missing(what: str = "Not found") -> NoReturn:
    abort(404, f"404 {what}")


def unknown() -> NoReturn:
    """GitLab's response for a URL that this version does not have."""
    answer = jsonify(error="404 Not Found")
    answer.status_code = 404
    abort(answer)


def paged(items: list[Any]) -> Response:
    """One page, with the headers that lead to the others. https://docs.gitlab.com/api/rest/#pagination"""
    page, size = int(request.args.get("page", 1)), min(int(request.args.get("per_page", 20)), 100)
    response = jsonify(items[(page - 1) * size : page * size])
    last = max(1, -(-len(items) // size))
    response.headers["X-Total"] = str(len(items))
    response.headers["X-Total-Pages"] = str(last)
    response.headers["X-Page"] = str(page)
    response.headers["X-Per-Page"] = str(size)
    response.headers["X-Prev-Page"] = str(page - 1) if page > 1 else ""
    response.headers["X-Next-Page"] = str(page + 1) if page < last else ""
    if page < last:
        rest = "&".join(f"{key}={value}" for key, value in request.args.items() if key != "page")
        response.headers["Link"] = f'<{request.base_url}?{rest}&page={page + 1}>; rel="next"'
    return response


def _refusal(error: HTTPException) -> Response:
    if error.response is not None:
        # Only our own responses get here, and those are Flask's.
        assert isinstance(error.response, Response)
        return error.response
    # GitLab's response for an unknown URL differs in form from that for a missing object.
    body = {"message": error.description} if request.url_rule else {"error": "404 Not Found"}
    answer = jsonify(body)
    answer.status_code = error.code or 500
    return answer
