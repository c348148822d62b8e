"""How large is the step from one version of a model to the next?

Major: callers of the model must change, since its signature or task did. Minor: it was made differently, with other
parameters, code or data columns. Patch: made the same way, with new data or another seed.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .comparison import changed_parameters
from .grouping import REPEAT_OVER
from .semver import Bump

_MOST_NAMED = 3
_SIZES = (Bump.PATCH, Bump.MINOR, Bump.MAJOR)
_LABEL = re.compile(r"model::(major|minor|patch)", re.IGNORECASE)
_TRAILER = re.compile(r"^Model-Bump:[ \t]*(major|minor|patch)[ \t]*$", re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Data:
    digest: str
    schema: str | None


@dataclass(frozen=True, slots=True)
class Facts:
    """What a version was made from. `inputs` and `outputs` are the signature's, None if the model has none; `tree` is
    a digest of the repository's files; `data` maps each use of a dataset, such as `training`, to the dataset.
    """

    params: Mapping[str, str]
    inputs: list[Any] | None = None
    outputs: list[Any] | None = None
    task: str | None = None
    tree: str | None = None
    data: Mapping[str, Data] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Step:
    bump: Bump
    reason: str


def decide(before: Facts, now: Facts, *, chance: frozenset[str] = REPEAT_OVER, same_code: bool | None = None) -> Step:
    """Compare what two versions were made from. `chance` names parameters such as seeds; `same_code` overrules `tree`
    if it is known which files belong to the model.
    """
    broken = _breaking(before, now)
    if broken:
        return Step(Bump.MAJOR, _list(broken))
    changed = [
        f"{one.name} {_or_unset(one.before)} → {_or_unset(one.after)}"
        for one in changed_parameters(before.params, now.params)
        if one.name not in chance
    ]
    if same_code is None:
        same_code = before.tree is not None and before.tree == now.tree
    if not same_code:
        changed.append("other code")
    if _columns(before.inputs) != _columns(now.inputs):
        changed.append("a new optional input")
    shared = sorted(before.data.keys() & now.data.keys())
    changed += [f"other columns in the {use} data" for use in shared if before.data[use].schema != now.data[use].schema]
    if changed:
        return Step(Bump.MINOR, _list(changed))
    renewed = [f"new {use} data" for use in shared if before.data[use].digest != now.data[use].digest]
    return Step(Bump.PATCH, _list(renewed) if renewed else "the same parameters, trained again")


def requested_steps(labels: Iterable[str], messages: Iterable[str]) -> list[Step]:
    """Read the steps that a merge request's labels (`model::major`) and commit trailers (`Model-Bump:
    major`) ask for.
    """
    found = [
        Step(Bump(match[1].lower()), f"the label {label}") for label in labels if (match := _LABEL.fullmatch(label))
    ]
    return found + [
        Step(Bump(match[1].lower()), f"the trailer Model-Bump: {match[1].lower()}")
        for message in messages
        for match in _TRAILER.finditer(message)
    ]


def largest(step: Step, requested: Iterable[Step]) -> Step:
    """Return the largest step: a request can make the step larger, never smaller."""
    return max([step, *requested], key=lambda one: _SIZES.index(one.bump))


def signature_of(model: Mapping[str, Any]) -> tuple[list[Any] | None, list[Any] | None, str | None]:
    """Read inputs, outputs and task from a decoded MLmodel file.

    https://mlflow.org/docs/latest/ml/model/#mlmodel-file
    """
    flavors = model.get("flavors")
    tasks = [one["task"] for one in flavors.values() if _has_task(one)] if isinstance(flavors, dict) else []
    task = str(tasks[0]) if tasks else None
    signature = model.get("signature")
    if not isinstance(signature, dict):
        return None, None, task
    return _decoded(signature.get("inputs")), _decoded(signature.get("outputs")), task


def _has_task(flavor: object) -> bool:
    return isinstance(flavor, dict) and isinstance(flavor.get("task"), str)


def _decoded(text: object) -> list[Any] | None:
    try:
        found = json.loads(text) if isinstance(text, str) else None
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, list) else None


def _breaking(before: Facts, now: Facts) -> list[str]:
    """Say what would break callers of the old version."""
    found = []
    if before.task and now.task and before.task != now.task:
        found.append(f"the task is {now.task}, it was {before.task}")
    if before.inputs is not None and now.inputs is None:
        found.append("the signature is gone")
    elif before.inputs is not None and now.inputs is not None:
        found += _broken_inputs(_columns(before.inputs), _columns(now.inputs))
        if before.outputs is not None and _columns(before.outputs) != _columns(now.outputs):
            found.append("other outputs")
    return found


def _broken_inputs(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    gone = [f"input {name} is gone" for name in before if name not in now]
    new = [f"input {name} is new and required" for name, one in now.items() if name not in before and _required(one)]
    other = [
        f"input {name} is of another type"
        for name, one in before.items()
        if name in now and (_typed(one) != _typed(now[name]) or (_required(now[name]) and not _required(one)))
    ]
    return gone + new + other


def _columns(fields: list[Any] | None) -> dict[str, Any]:
    """Map a signature's fields by name; those without a name by position."""
    return {
        str(one.get("name") or f"#{place}") if isinstance(one, dict) else f"#{place}": one
        for place, one in enumerate(fields or [])
    }


def _typed(one: Any) -> Any:  # noqa: ANN401 - any JSON
    return {key: value for key, value in one.items() if key not in ("required", "optional")} if _is_field(one) else one


def _required(one: object) -> bool:
    return not (isinstance(one, dict) and (one.get("required") is False or one.get("optional") is True))


def _is_field(one: object) -> bool:
    return isinstance(one, dict)


def _or_unset(value: str | None) -> str:
    return value or "(unset)"


def _list(changes: list[str]) -> str:
    if len(changes) <= _MOST_NAMED + 1:  # "and 1 more" would be no shorter
        return ", ".join(changes)
    return ", ".join(changes[:_MOST_NAMED]) + f" and {len(changes) - _MOST_NAMED} more"
