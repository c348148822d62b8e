"""The first page: the projects that a person can see, or what mltrail is, for anyone not signed in."""

from collections.abc import Callable

from flask import render_template, request
from flask.typing import ResponseReturnValue

from mltrail_server.domain.errors import Code, MltrailError
from mltrail_server.services.context.deps import Deps
from mltrail_server.services.identity import sessions

from . import session


def page(deps: Deps) -> Callable[[], ResponseReturnValue]:
    find_token = session.finder(deps)

    def show() -> ResponseReturnValue:
        try:
            projects = sessions.visible_projects(deps, find_token(request))
        except MltrailError as error:
            if error.code is not Code.UNAUTHENTICATED:
                raise
            projects = None
        return render_template("home.html", projects=projects, local=deps.settings.local_mode)

    return show
