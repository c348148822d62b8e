"""Move aliases with a reason: to a version, or back to where they were. What MLflow's routes can't say.

Aliases: names such as `champion` that move from version to version.
"""

from dataclasses import dataclass
from enum import Enum

from mltrail_server.domain import alias_history, semver
from mltrail_server.domain import model as rules
from mltrail_server.domain.errors import conflict, invalid, not_found
from mltrail_server.domain.reasons import Reason
from mltrail_server.services.context.deps import Scope
from mltrail_server.services.contract import protection
from mltrail_server.services.contract.protection import ProjectPolicy
from mltrail_server.store.db.transaction import Transaction
from mltrail_server.store.registry import aliases as store
from mltrail_server.store.registry import models as model_store
from mltrail_server.store.registry import versions
from mltrail_server.store.registry.aliases import Move
from mltrail_server.store.registry.versions import Version

from . import models


class Expected(Enum):
    ANYTHING = "anything"  # wherever the alias points now


def put(scope: Scope, name: str, alias: str, version: str) -> None:
    """Point an alias at a version, named by number or semver."""
    rules.check_alias(alias)
    rules.parse_version(version)  # what can be no version is told so, whatever the model
    policy = protection.project_policy(scope)
    with scope.project.write() as tx:
        model_id = models.id_of(tx, name)
        found = models.version_of(tx, model_id, name, version)
        pinned = protection.check_alias(tx, scope, model_id, name, alias, found, policy)
        move(tx, scope, model_id, alias, found.number, reason=pinned)


def delete(scope: Scope, name: str, alias: str) -> None:
    """Remove an alias; one that is not there is no error."""
    rules.check_alias_text(alias)
    policy = protection.project_policy(scope)
    with scope.project.write() as tx:
        model_id = models.id_of(tx, name)
        protection.check_alias(tx, scope, model_id, name, alias, None, policy)
        move(tx, scope, model_id, alias, None)


def resolve(scope: Scope, name: str, alias: str) -> Version:
    """Find the version that an alias points at; `latest` is the highest semver, a semver is the version itself.

    Raises NOT_FOUND for an unknown model or semver, INVALID for an unknown alias, as MLflow does.
    """
    if semver.read(alias) is None:
        rules.check_alias_text(alias)
    with scope.project.read() as tx:
        return find(tx, name, alias)


def find(tx: Transaction, name: str, alias: str) -> Version:
    model_id = models.id_of(tx, name)
    number = store.target(tx, model_id, alias)
    if number is not None:
        found = versions.get(tx, model_id, number)
    elif alias.lower() == rules.LATEST:
        found = versions.highest(tx, model_id)
        if found is None:
            raise not_found(Reason.MODEL_WITHOUT_VERSIONS, name=name)
    elif semver.read(alias) is not None:
        found = models.version_of(tx, model_id, name, alias)
    else:
        found = None
    if found is None:
        raise invalid(Reason.NO_ALIAS, name=name, alias=alias)
    return found


def version_named(tx: Transaction, name: str, text: str) -> Version:
    """Find a version by number, semver or alias."""
    if text.isdigit() or semver.read(text) is not None:
        return models.version_of(tx, models.id_of(tx, name), name, text)
    return find(tx, name, text)


def move(  # noqa: PLR0913 - the last three are for promotions only
    tx: Transaction,
    scope: Scope,
    model_id: int,
    alias: str,
    to_number: int | None,
    *,
    expected_from: int | Expected | None = Expected.ANYTHING,
    pipeline_id: int | None = None,
    reason: str | None = None,
) -> int | None:
    """Move an alias in the caller's transaction, leave a row in its history, and answer where it pointed before.

    `to_number` None removes it. `expected_from` makes it compare-and-swap: raises CONFLICT when the alias does not
    point there (None: nowhere). The caller has made sure that the version exists. A move to where it is already is
    none, and leaves no row.
    """
    model_store.lock(tx, model_id)
    before = store.target(tx, model_id, alias)
    if expected_from is not Expected.ANYTHING and before != expected_from:
        raise conflict(
            f"The alias '{alias}' points at {_told(before)}, not at {_told(expected_from)} as expected: it was moved "
            "meanwhile. Look at it again before you move it."
        )
    if before == to_number:
        return before
    if to_number is None:
        store.delete(tx, model_id, alias)
    else:
        store.put(tx, model_id, alias, to_number)
    job = scope.actor.job
    pipeline = pipeline_id if pipeline_id is not None or job is None else job.pipeline_id
    moved = Move(alias, before, to_number, tx.now, scope.actor.user_name, pipeline, reason)
    store.record(tx, model_id, moved)
    return before


def history(scope: Scope, name: str) -> list[Move]:
    """Tell all moves of a model's aliases, the newest first."""
    with scope.project.read() as tx:
        return store.history(tx, models.id_of(tx, name))


def _told(number: int | None) -> str:
    return "no version" if number is None else f"version {number}"


_MOST_REASON = 1000


@dataclass(frozen=True, slots=True)
class AliasChange:
    """An alias went from one version to another; `before` is None when it was nowhere."""

    alias: str
    before: Version | None
    now: Version


@dataclass(frozen=True, slots=True)
class AliasHistory:
    """Where a model's aliases point, with all their moves, the newest first; `semvers` names versions by number."""

    aliases: list[tuple[str, int]]
    moves: list[Move]
    semvers: dict[int, str]


def move_with_reason(
    scope: Scope, name: str, alias: str, version: str, *, reason: str | None, expected: str | None
) -> AliasChange:
    """Point an alias at a version. With `expected` it is compare-and-swap: raises CONFLICT when the alias points at
    another version by now; "" expects that it points nowhere.
    """
    rules.check_alias(alias)
    policy = protection.project_policy(scope)
    with scope.project.write() as tx:
        model_id = models.id_of(tx, name)
        wanted = models.version_of(tx, model_id, name, version)
        where: int | Expected | None = Expected.ANYTHING
        if expected is not None:
            where = models.version_of(tx, model_id, name, expected).number if expected else None
        return _moved(tx, scope, model_id, alias, wanted, policy, expected=where, reason=reason)


def rollback(scope: Scope, name: str, alias: str, *, reason: str | None, expected: str | None = None) -> AliasChange:
    """Point an alias at the version where it was before; a second roll back goes one further back.

    Raises CONFLICT when it was nowhere before, INVALID when it points nowhere now.
    """
    policy = protection.project_policy(scope)
    with scope.project.write() as tx:
        current = find(tx, name, alias)
        model_id = current.model_id
        moves = [one.to_number for one in store.history(tx, model_id) if one.alias == alias]
        before = alias_history.standing(moves[::-1])
        places = before[: before.index(current.number)] if current.number in before else []
        there = [versions.get(tx, model_id, number) for number in places[::-1]]
        target = next((one for one in there if one is not None), None)
        if target is None:
            raise conflict(
                f"'{alias}' has been at no version of {name} before {current.semver}, so there is nothing to go back "
                "to. Point it at a version of your choice instead."
            )
        where = models.version_of(tx, model_id, name, expected).number if expected else current.number
        told = f"rolled back from {current.semver}" + (f": {reason}" if reason else "")
        return _moved(tx, scope, model_id, alias, target, policy, expected=where, reason=told)


def history_of_model(scope: Scope, name: str) -> AliasHistory:
    with scope.project.read() as tx:
        model_id = models.id_of(tx, name)
        return AliasHistory(
            store.of_models(tx, [model_id]).get(model_id, []),
            store.history(tx, model_id),
            versions.semvers(tx, model_id),
        )


def _moved(  # noqa: PLR0913 - a move, and what it is checked against
    tx: Transaction,
    scope: Scope,
    model_id: int,
    alias: str,
    wanted: Version,
    policy: ProjectPolicy,
    *,
    expected: int | Expected | None,
    reason: str | None,
) -> AliasChange:
    pinned = protection.check_alias(tx, scope, model_id, wanted.model_name, alias, wanted, policy)
    reason = "; ".join(one for one in (reason, pinned) if one)[:_MOST_REASON] or None
    number = move(tx, scope, model_id, alias, wanted.number, expected_from=expected, reason=reason)
    before = versions.get(tx, model_id, number) if number is not None else None
    return AliasChange(alias, before, wanted)
