"""`dataclass`, as the standard library has it, but quicker to create: use this one.

The standard library writes up to six methods for each class as text and compiles one by one, which for the hundred
classes that a server loads was a tenth of its start. Nearly all of ours are `frozen=True, slots=True`. For these, only
`__init__` is compiled here, and all classes share the other methods. All else is as it was: `fields`, `replace`,
`asdict`, `match`, pickling. Other options lead to the standard library's decorator.
"""

import dataclasses
from dataclasses import MISSING, FrozenInstanceError, fields
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

_Class = TypeVar("_Class", bound=type[Any])
_FRESH = object()
"""Stands for a value that a field's `default_factory` creates."""


def frozen(cls: _Class) -> _Class:
    """Do what `dataclasses.dataclass(frozen=True, slots=True)` does, where a field without a place in `__init__`
    has no default.
    """
    if cls.__doc__ is None:
        cls.__doc__ = cls.__name__  # otherwise, the standard library composes a signature, which takes as long
    made = dataclasses.dataclass(init=False, repr=False, eq=False, slots=True)(cls)
    if "__init__" not in made.__dict__:
        _add_init(made)
    made.__compared__ = attrgetter("__class__", *(one.name for one in fields(made) if one.compare))
    for name, method in _SHARED.items():
        if made.__dict__.get(name) is None:  # a class with `__eq__` has None for `__hash__`
            setattr(made, name, method)
    return made  # type: ignore[return-value] # the same class, with slots


def _add_init(made: type[Any]) -> None:
    known: dict[str, Any] = {"_fresh": _FRESH}
    parameters, lines = ["self"], ["pass"]
    for one in fields(made):
        if not one.init:
            continue
        name = value = one.name
        known[f"_set_{name}"] = getattr(made, name).__set__  # the slot's own: `__setattr__` refuses
        if one.default is not MISSING:
            known[f"_default_{name}"] = one.default
            name = f"{name}=_default_{name}"
        elif one.default_factory is not MISSING:
            known[f"_create_{name}"] = one.default_factory
            name, value = f"{name}=_fresh", f"_create_{name}() if {name} is _fresh else {name}"
        parameters.append(name)
        lines.append(f"_set_{one.name}(self, {value})")
    if hasattr(made, "__post_init__"):
        lines.append("self.__post_init__()")
    exec(f"def __init__({', '.join(parameters)}):\n " + "\n ".join(lines), known)  # noqa: S102 - of names only
    made.__init__ = known["__init__"]
    made.__init__.__qualname__ = f"{made.__qualname__}.__init__"  # for error messages


def _repr(self: Any) -> str:  # noqa: ANN401 - of any class
    shown = ", ".join(f"{one.name}={getattr(self, one.name)!r}" for one in fields(self) if one.repr)
    return f"{type(self).__qualname__}({shown})"


def _eq(self: Any, other: Any) -> object:  # noqa: ANN401 - as above
    if other.__class__ is not self.__class__:
        return NotImplemented
    return self.__compared__(self) == self.__compared__(other)


def _hash(self: Any) -> int:  # noqa: ANN401 - as above
    return hash(self.__compared__(self))


def _setattr(_self: object, name: str, _value: object) -> NoReturn:
    raise FrozenInstanceError(f"cannot assign to field {name!r}")


def _delattr(_self: object, name: str) -> NoReturn:
    raise FrozenInstanceError(f"cannot delete field {name!r}")


def _getstate(self: Any) -> list[Any]:  # noqa: ANN401 - as above
    return [getattr(self, one.name) for one in fields(self)]


def _setstate(self: Any, state: list[Any]) -> None:  # noqa: ANN401 - as above
    for one, value in zip(fields(self), state, strict=True):
        object.__setattr__(self, one.name, value)


_SHARED = {
    "__repr__": _repr,
    "__eq__": _eq,
    "__hash__": _hash,
    "__setattr__": _setattr,
    "__delattr__": _delattr,
    "__getstate__": _getstate,
    "__setstate__": _setstate,
}

if TYPE_CHECKING:
    from dataclasses import dataclass
else:

    def dataclass(cls: Any = None, /, **options: bool) -> Any:  # noqa: ANN401 - type checkers see the library's
        if options != {"frozen": True, "slots": True}:
            return dataclasses.dataclass(cls, **options)
        return frozen if cls is None else frozen(cls)


__all__ = ["dataclass"]
