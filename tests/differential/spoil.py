"""Make a good call bad, as clients with mistakes do."""

import copy
from typing import Any

from .model import Call, World

_ODD: tuple[Any, ...] = (
    "",
    None,
    "x" * 600,
    "⟦no_such⟧",
    "987654321",
    -1,
    2**40,
    1.5,
    True,
    [],
    {},
    ["a"],
    {"a": "b"},
    "a/b",
    "../x",
    "ü ",
    "latest",
    "m-" + "0" * 32,
)


def spoiled(world: World, call: Call) -> Call:
    """Remove or replace one value of the call, deep inside too."""
    bad = copy.deepcopy(call)
    holder = bad.json if isinstance(bad.json, dict) else bad.query
    if not holder:
        return bad
    rng = world.rng
    while True:
        key = rng.choice(sorted(holder))
        value = holder[key]
        inner = value[0] if isinstance(value, list) and value and isinstance(value[0], dict) else None
        if inner and rng.random() < 0.7:
            holder = inner
            continue
        break
    if rng.random() < 0.3:
        del holder[key]
    else:
        odd = [one for one in _ODD if bad.query is None or isinstance(one, str | int)]
        holder[key] = rng.choice(odd)
    return bad
