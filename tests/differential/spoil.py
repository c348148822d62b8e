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

_LONG = 100
_SHARE_OUTSIDE = 0.3
_IDS = frozenset({"run_id", "experiment_id", "name", "version", "model_id"})
_MAKERS = frozenset(
    f"POST api/2.0/mlflow/{path}"
    for path in ("registered-models/create", "registered-models/rename", "model-versions/create", "experiments/update")
)


def spoiled(world: World, call: Call) -> Call:
    """Remove or replace one value of the call, deep inside too."""
    bad = copy.deepcopy(call)
    makes = call.learns is not None or call.endpoint in _MAKERS
    holder = bad.json if isinstance(bad.json, dict) else bad.query
    if not holder:
        return bad
    rng = world.rng
    bad.spoiled = True
    while True:
        spoilable = sorted(holder.keys() - call.keep)
        if not spoilable:
            return bad
        key = rng.choice(spoilable)
        value = holder[key]
        inner = value[0] if isinstance(value, list) and value and isinstance(value[0], dict) else None
        if not inner or rng.random() < _SHARE_OUTSIDE:
            break
        holder = inner
    if rng.random() < 0.3:
        del holder[key]
    else:
        odd = [one for one in _ODD if bad.query is None or isinstance(one, str | int)]
        if makes:
            # What only one side makes parts the two for good, and MLflow takes many a wrong type in silence.
            odd = [one for one in odd if one is None or (isinstance(one, str) and len(one) < _LONG)]
        elif call.query is None and not call.endpoint.endswith("search") and key not in _IDS:
            odd = [one for one in odd if one is None or isinstance(one, str)]
        holder[key] = rng.choice(odd)
    return bad
