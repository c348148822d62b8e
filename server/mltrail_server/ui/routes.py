"""The route table of the pages, under GitLab's paths."""

from importlib.resources import files

from flask import Flask, Response, render_template
from flask.typing import ResponseReturnValue

from mltrail_server.domain.clock import iso
from mltrail_server.domain.identity import Access
from mltrail_server.gitlab.oauth import CALLBACK
from mltrail_server.http.routes import Route, mount, mount_public
from mltrail_server.services.deps import Deps

from . import pages, session, sign_in

READ = Access.READ

ROUTES = (
    Route("GET", "experiments", pages.experiment_list, READ),
    Route("GET", "experiments/<int:iid>", pages.candidate_list, READ),
    Route("GET", "candidates/<int:iid>", pages.candidate, READ),
    Route("GET", "candidates/<int:iid>/files/<path:path>", pages.candidate_file, READ),
    Route("GET", "models", pages.model_list, READ),
    Route("GET", "models/<path:name>", pages.model, READ),
)


def mount_all(app: Flask, deps: Deps) -> None:
    session.configure(app, deps.settings)
    app.jinja_env.filters["time"] = lambda milliseconds: iso(milliseconds)[:19].replace("T", " ") + " UTC"
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.after_request(sign_in.secured)
    style = files("mltrail_server.ui").joinpath("static/app.css").read_bytes()

    def stylesheet() -> Response:
        return Response(style, content_type="text/css; charset=utf-8", headers={"Cache-Control": "max-age=3600"})

    def home() -> ResponseReturnValue:
        return render_template("home.html")

    mount_public(app, "/", home)
    mount_public(app, "/-/app.css", stylesheet)
    door = sign_in.SignIn(deps)
    for path, method, handler in (
        ("/-/sign-in", "GET", door.form),
        ("/-/sign-in", "POST", door.enter),
        ("/-/sign-in/gitlab", "GET", door.to_gitlab),
        (CALLBACK, "GET", door.back_from_gitlab),
        ("/-/sign-out", "POST", door.leave),
    ):
        mount_public(app, path, handler, method=method)
    mount(app, deps, name="ui", prefix="/<project:project>/-/ml/", routes=ROUTES, find_token=session.finder(deps))
