"""Routes: each declares the access that it needs, and there is no other way to register one.

A handler is called only with an admitted `Call`. `tests/api/edges/test_access.py` walks Flask's URL
map and fails on any rule that was not registered here. All routes are in that map; those whose clients wait for
every millisecond are also found by the short way (see `short_way`), which calls the very same functions.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from flask import Flask, Request, request
from flask.typing import ResponseReturnValue

from mltrail_server.domain.errors import forbidden, invalid
from mltrail_server.domain.identity import Access, Actor, title_of
from mltrail_server.services.context.deps import Deps
from mltrail_server.services.identity import authentication
from mltrail_server.services.tracking import detachments
from mltrail_server.telemetry import calls

from .call import Call
from .project_app import ProjectApp
from .slow_bodies import CALLER
from .tokens import token_of

Handler = Callable[..., ResponseReturnValue]

ADMITTED = "mltrail.admitted"
"""Where a request keeps its `Deps` and `Actor` once it is known who asks, and that they may see the project. Error
pages then show the project's navigation. It does not keep the `Call`, which holds the request: that would be a
reference cycle.
"""


@dataclass(frozen=True, slots=True)
class Route:
    """`query` names the allowed query parameters. None leaves that to the handler: MLflow's and GitLab's own routes
    ignore unknown ones.
    """

    method: str
    path: str
    handler: Handler
    access: Access
    query: frozenset[str] | None = None
    slow: bool = False  # it may take long, so it needs a share of the slow calls


def mount(
    app: ProjectApp,
    deps: Deps,
    *,
    name: str,
    prefix: str,
    routes: Iterable[Route],
    find_token: Callable[[Request], str] = token_of,
    short: bool = False,
) -> None:
    """Register routes below `prefix`, which contains `<project:project>`. `find_token` reads the token
    from a request. With `short`, calls also come the short way: then no handler may use anything of Flask's but the
    request that it is given.
    """
    for route in routes:
        endpoint = f"{name}:{route.method}:{route.path}"
        serve = guarded(deps, route, find_token)
        app.add_url_rule(
            prefix + route.path,
            endpoint,
            _view(serve, route),
            methods=[route.method],
            provide_automatic_options=False,
        )
        if short:
            app.short_way.add(route.method, prefix + route.path, serve)


def guarded(deps: Deps, route: Route, find_token: Callable[[Request], str]) -> Handler:
    """Make the function that serves a route: it is called with the request, the project and the path's other parts."""

    def serve(request: Request, project: str, **parts: str) -> ResponseReturnValue:
        actor = authentication.admit(deps, find_token(request), project)
        call = Call(deps, actor, request)
        request.environ[CALLER] = actor.user_name
        request.environ[ADMITTED] = deps, actor
        if (current := calls.current()) is not None:
            current.project_id = actor.project_id
        require(deps, actor, route.access)
        if route.access is Access.WRITE:
            detachments.check_route(actor, route.path)
        # A detached run's token is valid for days, so its user is checked for reading, too.
        if route.access is Access.WRITE or actor.candidate_iid is not None:
            checked = authentication.about_to_write(deps, actor)
            if checked is not actor:
                call = Call(deps, checked, request)
        if route.query is not None:
            _check_query(request, route.query)
        if not route.slow:
            return route.handler(call, **parts)
        with deps.slow_call_limit.hold(call.actor):
            return route.handler(call, **parts)

    return serve


def _view(serve: Handler, route: Route) -> Handler:
    def view(**parts: Any) -> ResponseReturnValue:  # noqa: ANN401 - Flask's converters decide
        return serve(request._get_current_object(), **parts)  # type: ignore[attr-defined] # noqa: SLF001 - the documented name

    view.mltrail_access = route.access  # type: ignore[attr-defined]
    return view


def _check_query(request: Request, known: frozenset[str]) -> None:
    """Refuse an unknown parameter: it is most likely misspelt, and would silently have no effect."""
    for name in request.args:
        if name not in known:
            allowed = f"known ones are {', '.join(sorted(known))}" if known else "this call takes none"
            raise invalid(f"Unknown query parameter '{name[:60]}'; {allowed}.")


def mount_public(app: Flask, path: str, handler: Handler, *, method: str = "GET") -> None:
    """Register a URL that anybody can call, because it reveals nothing about any project."""

    def view(**parts: str) -> ResponseReturnValue:
        return handler(**parts)

    view.mltrail_access = None  # type: ignore[attr-defined]
    endpoint = f"public:{path}" if method == "GET" else f"public:{method}:{path}"
    app.add_url_rule(path, endpoint, view, methods=[method], provide_automatic_options=False)


def require(deps: Deps, actor: Actor, access: Access) -> None:
    lowest = deps.settings.lowest_role_for_traces
    if access is Access.READ_TRACES and not actor.sees_traces(lowest):
        raise forbidden(
            f"{actor.user_name} can't read traces of {actor.project_path}, which may contain what customers wrote: "
            f"only members with at least the {title_of(lowest)} role can, and the project's own jobs."
        )
    if not actor.may(access, reads_traces=lowest):
        raise forbidden(
            f"{actor.user_name} can read {actor.project_path} but not change it. "
            + (actor.limit or "Ask for the Developer role in that project, or use a token with the scope `api`.")
        )
