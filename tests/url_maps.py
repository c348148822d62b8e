"""Applications with the same routes share one URL map in tests: compiling some three hundred rules each time that an
application is created takes longer than most tests.
"""

from copy import copy
from typing import Any, ClassVar

from flask.sansio.app import App
from werkzeug.routing import Map, Rule

from mltrail_server.http.project_app import LateMap, ProjectApp


class SharedMap(LateMap):
    """A map that compiles its rules when one is first asked for, unless another map has compiled the same."""

    _compiled: ClassVar[dict[Any, Map]] = {}

    def update(self) -> None:
        """Take what is compiled. Werkzeug calls this before it reads anything."""
        if not self._remap:
            return
        options = {name: getattr(self, name) for name in ("merge_slashes", "strict_slashes", "host_matching")}
        key = (*options.values(), *self.converters.items(), *map(_whole, self.added))
        shared = self._compiled.get(key)
        if shared is None:
            shared = self._compiled[key] = Map(converters=self.converters, **options)
            for rule in self.added:
                shared.add(copy(rule))  # which is bound to this one map
            shared.update()
        self._matcher, self._rules_by_endpoint = shared._matcher, shared._rules_by_endpoint
        self._remap = False


def _whole(rule: Rule) -> tuple[object, ...]:
    """All that was given for a rule here."""
    methods = frozenset(rule.methods or ())
    return type(rule), rule.rule, rule.endpoint, methods, getattr(rule, "provide_automatic_options", None)


def share() -> None:
    App.url_map_class = ProjectApp.url_map_class = SharedMap
