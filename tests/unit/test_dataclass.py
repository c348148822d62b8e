"""Our `dataclass` makes what the standard library's makes: the same classes by both, and no difference."""

import copy
import dataclasses
import pickle
import re
from collections.abc import Callable
from dataclasses import FrozenInstanceError, field
from pathlib import Path
from typing import Any

import pytest

import mltrail_server
from mltrail_server.dataclass import dataclass

Decorator = Callable[[type], type]
DECORATORS = [dataclasses.dataclass(frozen=True, slots=True), dataclass(frozen=True, slots=True)]


def shapes(decorate: Decorator) -> list[type]:
    """Create classes of all the shapes that we use."""

    @decorate
    class Point:
        """A point."""

        x: int
        y: float = 0.5
        tags: list[str] = field(default_factory=list)

        def __post_init__(self) -> None:
            if self.x < 0:
                raise ValueError(self.x)

        @property
        def double(self) -> int:
            return 2 * self.x

    @decorate
    class Named(Point):
        name: str = "n"

    @decorate
    class Guarded:
        token: str = field(repr=False)
        seen: int = field(default=0, compare=False)

    @decorate
    class Nothing:
        pass

    @decorate
    class Own:  # noqa: PLW1641 - the decorator makes it
        x: int

        def __eq__(self, other: object) -> bool:
            return isinstance(other, type(self))

        def __repr__(self) -> str:
            return "own"

    @decorate
    class Made:
        x: int

        def __init__(self, text: str) -> None:
            object.__setattr__(self, "x", int(text))

    @decorate
    class Derived:
        x: int
        twice: int = field(init=False)

        def __post_init__(self) -> None:
            object.__setattr__(self, "twice", 2 * self.x)

    return [Point, Named, Guarded, Nothing, Own, Made, Derived]


def said(work: Callable[[], Any]) -> str:
    """Write down what a piece of work returns or raises."""
    try:
        return repr(work())
    except Exception as error:  # noqa: BLE001 - compared, whatever it is
        return f"{type(error).__name__}: {error}"


def behaviour(decorate: Decorator) -> list[str]:
    point, named, guarded, nothing, own, made, derived = shapes(decorate)
    one, nan = point(1, tags=["a"]), float("nan")

    def assign() -> None:
        one.x = 2

    def delete() -> None:
        del one.x

    def matched() -> object:
        match one:
            case point(x, y):
                return x, y

    work: list[Callable[[], Any]] = [
        lambda: one,
        lambda: named(1, name="m"),
        lambda: guarded("secret"),
        nothing,
        lambda: own(1),
        lambda: made("1"),
        lambda: derived(1),
        lambda: (derived(1) == derived(1), dataclasses.replace(derived(1), x=3)),
        point,
        lambda: point(1, 2, [], 4),
        lambda: point(1, w=2),
        lambda: point(-1),
        lambda: (one == point(1, tags=["a"]), one == point(2), one == 1, one != point(2)),
        lambda: (point(1) == named(1), nothing() == nothing(), own(1) == own(2)),
        lambda: (point(1, nan) == point(1, nan), guarded("s", 1) == guarded("s", 2)),
        lambda: hash(one),
        lambda: hash(guarded("s", 1)) == hash(guarded("s", 2)),
        lambda: len({own(1), own(1), nothing(), nothing()}),
        lambda: point(1).tags is point(1).tags,
        lambda: dataclasses.asdict(named(1)),
        lambda: dataclasses.replace(one, y=9.0),
        lambda: dataclasses.replace(one, z=9.0),
        lambda: [(each.name, each.type, each.default) for each in dataclasses.fields(named) if each.name != "tags"],
        lambda: dataclasses.is_dataclass(one),
        lambda: (copy.copy(one), copy.deepcopy(one)),
        lambda: (one.double, point.__doc__, named.__match_args__),
        lambda: hasattr(one, "__dict__"),
        assign,
        delete,
        matched,
    ]
    return [said(each) for each in work]


def test_it_makes_no_difference() -> None:
    library, ours = (behaviour(decorator) for decorator in DECORATORS)
    assert ours == library


@dataclass(frozen=True, slots=True)
class Pickled:
    x: int
    y: list[int] = field(default_factory=list)


def test_it_can_be_pickled() -> None:
    assert pickle.loads(pickle.dumps(Pickled(1, [2]))) == Pickled(1, [2])


def test_other_options_are_the_librarys() -> None:
    @dataclass(frozen=True, order=True)
    class Ordered:
        x: int

    @dataclass
    class Plain:
        x: int = 0

    changed = Plain()
    changed.x = 3
    assert Ordered(1) < Ordered(2)
    assert changed == Plain(3)
    with pytest.raises(FrozenInstanceError):
        Ordered(1).x = 2  # type: ignore[misc] # that is the test


def test_one_function_a_class_is_compiled() -> None:
    """That is why there is a decorator of our own."""

    @dataclass(frozen=True, slots=True)
    class Other:
        y: int

    for name in ("__repr__", "__eq__", "__hash__", "__setattr__", "__delattr__"):
        assert Other.__dict__[name] is Pickled.__dict__[name]


def test_the_server_imports_ours() -> None:
    files = Path(mltrail_server.__file__).parent.rglob("*.py")
    by_library = {
        one.name for one in files if re.search(r"(?m)^from dataclasses import .*\bdataclass\b", one.read_text())
    }
    assert by_library == set()
