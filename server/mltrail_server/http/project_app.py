"""The application: Flask with `<project:project>` in its rules, and the short way past it."""

from collections.abc import Callable
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

from flask import Flask, Request, Response, request
from werkzeug.routing import Map, MapAdapter, Rule, RuleFactory

from mltrail_server.telemetry import calls

from .errors import ErrorAnswers, handle_errors
from .late_request import LateRequest
from .project_paths import PathConverter, ProjectConverter, ProjectPaths
from .short_way import Found, ShortWay

if TYPE_CHECKING:
    from collections.abc import Iterable

    from _typeshed.wsgi import StartResponse, WSGIEnvironment


class _Rule(Rule):
    """A rule that compiles its URL builder on first use.

    Werkzeug compiles two functions per rule through a syntax tree: for some three hundred rules that takes 200 ms when
    a process starts, and we use two of them.
    """

    def _compile_builder(self, append_unknown: bool = True) -> Callable[..., tuple[str, str]]:
        compile_builder = super()._compile_builder

        @cache
        def compiled() -> Callable[..., tuple[str, str]]:
            return compile_builder(append_unknown)

        def build(rule: Rule, **values: str) -> tuple[str, str]:
            return compiled()(rule, **values)

        return build


class LateMap(Map):
    """A map that compiles its rules when one is first looked up.

    Four hundred rules take 25 ms and 6 MB, which a process that only serves trainings never needs: see `short_way`.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:  # noqa: ANN401 - as Werkzeug has them
        self.added: list[Rule] = []
        self._bound = 0
        super().__init__(*arguments, **options)

    def add(self, rulefactory: RuleFactory) -> None:
        self.added += rulefactory.get_rules(self)
        self._remap = True

    def update(self) -> None:
        """Compile what was added. Werkzeug calls this before it reads anything."""
        if self._bound < len(self.added):
            with self._remap_lock:
                for rule in self.added[self._bound :]:
                    super().add(rule)
                self._bound = len(self.added)
        super().update()


class ProjectApp(Flask):
    """A call takes the short way if its route is there, else Flask's. What to check first and how to answer errors is
    registered here, for both ways; what else holds for every call is a layer around the application (`app._layers`).
    """

    url_rule_class = _Rule
    url_map_class = LateMap

    def __init__(self, name: str, *, template_folder: str, answers: ErrorAnswers) -> None:
        super().__init__(name, static_folder=None, template_folder=template_folder)
        self.url_map.converters["project"] = ProjectConverter
        self.url_map.converters["path"] = PathConverter
        self.url_map.merge_slashes = False
        self.short_way = ShortWay()
        self._answers = answers
        self._checks: list[Callable[[Request], None]] = []
        handle_errors(self, answers)
        self.before_request(_note_route)

    def check_each(self, check: Callable[[Request], None]) -> None:
        """Call `check` with each request, before anything else looks at it. It may raise."""
        self._checks.append(check)
        self.before_request(lambda: check(request))

    def build(self) -> None:
        """Build what the first call of a training would build: processes share it if they are forked afterwards."""
        self._table  # noqa: B018 - read for the sake of its making

    def wsgi_app(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> "Iterable[bytes]":
        found = self._table.find(environ)
        if found is None:
            return super().wsgi_app(environ, start_response)
        return self._answer(found, LateRequest(environ))(environ, start_response)

    def _answer(self, found: Found, request: Request) -> Response:
        """Serve a request the short way: as Flask would, but without its contexts, session and signals."""
        if (call := calls.current()) is not None:
            call.route = found.rule
        try:
            for check in self._checks:
                check(request)
            response: Response = found.serve(request, **found.parts)
        except Exception as error:  # noqa: BLE001 - answered, and logged if it is none of ours
            return self._answers.answer(error, request)
        return response

    @cached_property
    def _project_paths(self) -> ProjectPaths:
        return ProjectPaths(self._rules())

    @cached_property
    def _table(self) -> ShortWay:
        self.short_way.reserve(self._rules())
        return self.short_way

    def _rules(self) -> "list[str]":
        assert isinstance(self.url_map, LateMap)  # noqa: S101 - see `url_map_class`
        return [rule.rule for rule in self.url_map.added]

    def create_url_adapter(self, request: Request | None) -> MapAdapter | None:
        adapter = super().create_url_adapter(request)
        if adapter is not None and request is not None:
            adapter.path_info = self._project_paths.isolated(adapter.path_info)
        return adapter


def _note_route() -> None:
    if request.url_rule is not None and (call := calls.current()) is not None:
        call.route = request.url_rule.rule
