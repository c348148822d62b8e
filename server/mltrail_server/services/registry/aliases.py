"""Aliases: names such as `champion` that move from version to version."""

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
from mltrail_server.store.registry.aliases import AliasMove
from mltrail_server.store.registry.versions import Version

from . import models

_MOST_REASON_CHARACTERS = 1000


class Expected(Enum):
    ANYTHING = "anything"  # the alias may point anywhere now


@dataclass(frozen=True, slots=True)
class AliasChange:
    """An alias was moved from one version to another; `before` is None if it pointed at none."""

    alias: str
    before: Version | None
    now: Version


@dataclass(frozen=True, slots=True)
class AliasHistory:
    """Where a model's aliases point, with all their moves, the newest first; `semvers` names versions by number."""

    aliases: list[tuple[str, int]]
    moves: list[AliasMove]
    semvers: dict[int, str]


def put(scope: Scope, name: str, alias: str, version: str) -> None:
    """Point an alias at a version, named by number or semver."""
    rules.check_alias(alias)
    rules.parse_version(version)  # text that can't be a version is refused as such, whatever the model
    policy = protection.project_policy(scope)
    with scope.project.write() as tx:
        model_id = models.id_of(tx, name)
        target = models.version_of(tx, model_id, name, version)
        reason = protection.check_alias(tx, scope, model_id, name, alias, target, policy)
        move(tx, scope, model_id, alias, target.number, reason=reason)


def delete(scope: Scope, name: str, alias: str) -> None:
    """Remove an alias. One that does not exist is no error."""
    rules.check_alias_text(alias)
    policy = protection.project_policy(scope)
    with scope.project.write() as tx:
        model_id = models.id_of(tx, name)
        protection.check_alias(tx, scope, model_id, name, alias, None, policy)
        move(tx, scope, model_id, alias, None)


def resolve(scope: Scope, name: str, alias: str) -> Version:
    """Return the version that an alias points at; `latest` is the highest semver, a semver is the version itself.

    Raises NOT_FOUND for an unknown model or semver, INVALID for an unknown alias, as MLflow does.
    """
    if semver.read(alias) is None:
        rules.check_alias_text(alias)
    with scope.project.read() as tx:
        return find(tx, name, alias)


def move_with_reason(
    scope: Scope, name: str, alias: str, version: str, *, reason: str | None, expected: str | None
) -> AliasChange:
    """Point an alias at a version. With `expected` it is a compare-and-swap: raises CONFLICT if the alias points at
    another version by now; "" expects that it points at none.
    """
    rules.check_alias(alias)
    policy = protection.project_policy(scope)
    with scope.project.write() as tx:
        model_id = models.id_of(tx, name)
        target = models.version_of(tx, model_id, name, version)
        expected_from: int | Expected | None = Expected.ANYTHING
        if expected is not None:
            expected_from = models.version_of(tx, model_id, name, expected).number if expected else None
        return _move_checked(tx, scope, target, alias, policy, expected_from=expected_from, reason=reason)


def rollback(scope: Scope, name: str, alias: str, *, reason: str | None, expected: str | None = None) -> AliasChange:
    """Point an alias at the version that it pointed at before; a second rollback goes one version further back.

    Raises CONFLICT if there is no such version, INVALID if the alias points at none now.
    """
    policy = protection.project_policy(scope)
    with scope.project.write() as tx:
        current = find(tx, name, alias)
        model_id = current.model_id
        moves = [move.to_number for move in store.history(tx, model_id) if move.alias == alias]
        numbers = alias_history.before(moves[::-1], current.number)
        earlier = [versions.get(tx, model_id, number) for number in numbers]
        target = next((version for version in earlier if version is not None), None)
        if target is None:
            raise conflict(
                f"'{alias}' has been at no version of {name} before {current.semver}, so there is nothing to go back "
                "to. Point it at a version of your choice instead."
            )
        expected_from = models.version_of(tx, model_id, name, expected).number if expected else current.number
        why = f"rolled back from {current.semver}" + (f": {reason}" if reason else "")
        return _move_checked(tx, scope, target, alias, policy, expected_from=expected_from, reason=why)


def history(scope: Scope, name: str) -> AliasHistory:
    with scope.project.read() as tx:
        model_id = models.id_of(tx, name)
        return AliasHistory(
            store.of_models(tx, [model_id]).get(model_id, []),
            store.history(tx, model_id),
            versions.semvers(tx, model_id),
        )


def find(tx: Transaction, name: str, alias: str) -> Version:
    model_id = models.id_of(tx, name)
    number = store.target(tx, model_id, alias)
    if number is not None:
        version = versions.get(tx, model_id, number)
    elif alias.lower() == rules.LATEST:
        version = versions.highest(tx, model_id)
        if version is None:
            raise not_found(Reason.MODEL_WITHOUT_VERSIONS, name=name)
    elif semver.read(alias) is not None:
        version = models.version_of(tx, model_id, name, alias)
    else:
        version = None
    if version is None:
        raise invalid(Reason.NO_ALIAS, name=name, alias=alias)
    return version


def version_named(tx: Transaction, name: str, text: str) -> Version:
    """Return a version by number, semver or alias."""
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
    """Move an alias in the caller's transaction, add a row to its history, and return where it pointed before.

    `to_number` None removes it. With `expected_from` it is a compare-and-swap: raises CONFLICT if the alias points
    elsewhere (None: nowhere). The caller has made sure that the version exists. A move to where the alias already
    points adds no row.
    """
    model_store.lock(tx, model_id)
    before = store.target(tx, model_id, alias)
    if expected_from is not Expected.ANYTHING and before != expected_from:
        raise conflict(
            f"The alias '{alias}' points at {_version_text(before)}, not at {_version_text(expected_from)} as "
            "expected: it was moved meanwhile. Look at it again before you move it."
        )
    if before == to_number:
        return before
    if to_number is None:
        store.delete(tx, model_id, alias)
    else:
        store.put(tx, model_id, alias, to_number)
    job = scope.actor.job
    pipeline = pipeline_id if pipeline_id is not None or job is None else job.pipeline_id
    step = AliasMove(alias, before, to_number, tx.now, scope.actor.user_name, pipeline, reason)
    store.record(tx, model_id, step)
    return before


def _move_checked(
    tx: Transaction,
    scope: Scope,
    target: Version,
    alias: str,
    policy: ProjectPolicy,
    *,
    expected_from: int | Expected | None,
    reason: str | None,
) -> AliasChange:
    model_id = target.model_id
    pinned = protection.check_alias(tx, scope, model_id, target.model_name, alias, target, policy)
    reason = "; ".join(text for text in (reason, pinned) if text)[:_MOST_REASON_CHARACTERS] or None
    number = move(tx, scope, model_id, alias, target.number, expected_from=expected_from, reason=reason)
    before = versions.get(tx, model_id, number) if number is not None else None
    return AliasChange(alias, before, target)


def _version_text(number: int | None) -> str:
    return "no version" if number is None else f"version {number}"
