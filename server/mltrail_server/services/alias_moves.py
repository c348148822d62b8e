"""Move aliases with a reason: to a version, or back to where they were. What MLflow's routes can't say."""

from dataclasses import dataclass

import sqlalchemy as sa

from mltrail_server.domain import alias_history
from mltrail_server.domain import model as rules
from mltrail_server.domain.errors import conflict
from mltrail_server.store import aliases as store
from mltrail_server.store import versions
from mltrail_server.store.aliases import Move
from mltrail_server.store.versions import Version

from . import aliases, managed, models, stewards
from .deps import Scope
from .managed import Promoting

_MOST_REASON = 1000


@dataclass(frozen=True, slots=True)
class Moved:
    """An alias went from one version to another; `before` is None when it was nowhere."""

    alias: str
    before: Version | None
    now: Version


@dataclass(frozen=True, slots=True)
class Told:
    """Where a model's aliases point, with all their moves, the newest first; `semvers` names versions by number."""

    aliases: list[tuple[str, int]]
    moves: list[Move]
    semvers: dict[int, str]


def put(scope: Scope, name: str, alias: str, version: str, *, reason: str | None, expected: str | None) -> Moved:
    """Point an alias at a version. With `expected` it is compare-and-swap: raises CONFLICT when the alias points at
    another version by now; "" expects that it points nowhere.
    """
    rules.check_alias(alias)
    promoting = managed.promoting(scope)
    with scope.deps.db.write() as connection:
        model_id = models.id_of(connection, scope, name)
        wanted = models.version_of(connection, scope, model_id, name, version)
        where: int | aliases.Expected | None = aliases.Expected.ANYTHING
        if expected is not None:
            where = models.version_of(connection, scope, model_id, name, expected).number if expected else None
        return _moved(connection, scope, model_id, alias, wanted, promoting, expected=where, reason=reason)


def rollback(scope: Scope, name: str, alias: str, *, reason: str | None, expected: str | None = None) -> Moved:
    """Point an alias at the version where it was before; a second roll back goes one further back.

    Raises CONFLICT when it was nowhere before, INVALID when it points nowhere now.
    """
    promoting = managed.promoting(scope)
    with scope.deps.db.write() as connection:
        current = aliases.find(connection, scope, name, alias)
        model_id = current.model_id
        moves = [one.to_number for one in store.history(connection, scope.project_id, model_id) if one.alias == alias]
        before = alias_history.standing(moves[::-1])
        places = before[: before.index(current.number)] if current.number in before else []
        there = [versions.get(connection, scope.project_id, model_id, number) for number in places[::-1]]
        target = next((one for one in there if one is not None), None)
        if target is None:
            raise conflict(
                f"'{alias}' has been at no version of {name} before {current.semver}, so there is nothing to go back "
                "to. Point it at a version of your choice instead."
            )
        where = models.version_of(connection, scope, model_id, name, expected).number if expected else current.number
        told = f"rolled back from {current.semver}" + (f": {reason}" if reason else "")
        return _moved(connection, scope, model_id, alias, target, promoting, expected=where, reason=told)


def told(scope: Scope, name: str) -> Told:
    with scope.deps.db.read() as connection:
        model_id = models.id_of(connection, scope, name)
        return Told(
            store.of_models(connection, scope.project_id, [model_id]).get(model_id, []),
            store.history(connection, scope.project_id, model_id),
            versions.semvers(connection, scope.project_id, model_id),
        )


def _moved(
    connection: sa.Connection,
    scope: Scope,
    model_id: int,
    alias: str,
    wanted: Version,
    promoting: Promoting,
    *,
    expected: int | aliases.Expected | None,
    reason: str | None,
) -> Moved:
    pinned = stewards.check_alias(connection, scope, model_id, wanted.model_name, alias, wanted, promoting)
    reason = "; ".join(one for one in (reason, pinned) if one)[:_MOST_REASON] or None
    number = aliases.move(connection, scope, model_id, alias, wanted.number, expected_from=expected, reason=reason)
    before = versions.get(connection, scope.project_id, model_id, number) if number is not None else None
    return Moved(alias, before, wanted)
