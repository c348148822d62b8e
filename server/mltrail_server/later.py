"""Modules that are loaded when one of their functions is first called.

Most web processes serve training jobs and few people, or the other way round. So a route table names its handlers as if
their modules had been imported, and only a call loads them:

    if TYPE_CHECKING:
        from . import experiments, models
    else:
        experiments, models = later(__package__, "experiments", "models")
"""

from collections.abc import Callable
from importlib import import_module
from typing import Any


def later(package: str, *names: str) -> "list[Later]":
    """Return modules of a package, in the order of their names."""
    return [Later(f"{package}.{name}") for name in names]


class Later:
    """A module that is not loaded yet. It gives out functions only: each loads the module when it is called. A class is
    such a function, too.
    """

    def __init__(self, module: str) -> None:
        self._module = module

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:  # noqa: ANN401 - as the function has it
            function = getattr(import_module(self._module), name)
            return function(*arguments, **named)

        call.__module__, call.__name__, call.__qualname__ = self._module, name, name
        return call
