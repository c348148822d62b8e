"""Delete, restore and tag many candidates: each as if it were the only one, and as many as can be in a transaction."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from mltrail_server.domain.candidate import Stage
from mltrail_server.domain.errors import Code, MltrailError
from mltrail_server.services.context.deps import Scope
from mltrail_server.store.db.transaction import Transaction
from mltrail_server.store.tracking.candidates import Candidate

from . import candidates, logging

_AT_ONCE = 50
"""How many share a transaction, so that on SQLite others wait for no longer than a moment."""
_OF_ONE = frozenset({Code.INVALID, Code.CONFLICT, Code.FORBIDDEN, Code.NOT_FOUND, Code.QUOTA})
"""Errors that concern one candidate; the others are changed all the same."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """Which candidates were changed, and which were not, each with the reason."""

    done: list[Candidate] = field(default_factory=list)
    refused: list[tuple[Candidate, MltrailError]] = field(default_factory=list)


def change_stage(scope: Scope, some: Sequence[Candidate], stage: Stage) -> Outcome:
    """Delete or restore candidates."""

    def change(tx: Transaction, candidate: Candidate) -> None:
        candidates.change_stage_in(tx, scope, candidate.eid, stage)

    outcome = Outcome()
    for start in range(0, len(some), _AT_ONCE):
        _change(scope, some[start : start + _AT_ONCE], change, outcome)
    return outcome


def set_tag(scope: Scope, some: Sequence[Candidate], key: str, value: str) -> Outcome:
    """Give candidates the same tag."""
    return _one_by_one(some, lambda candidate: logging.log_batch(scope, candidate.eid, tags=[(key, value)]))


def delete_tag(scope: Scope, some: Sequence[Candidate], key: str) -> Outcome:
    """Remove a tag from the candidates, all of which have it."""
    return _one_by_one(some, lambda candidate: logging.delete_tag(scope, candidate.eid, key))


def _change(
    scope: Scope, some: Sequence[Candidate], change: Callable[[Transaction, Candidate], None], outcome: Outcome
) -> None:
    """Change some candidates in one transaction or, if one of them is refused, each in its own."""
    try:
        with scope.project.write() as tx:
            for candidate in some:
                change(tx, candidate)
    except MltrailError as error:
        if error.code not in _OF_ONE:
            raise
    else:
        outcome.done.extend(some)
        return

    def alone(candidate: Candidate) -> None:
        with scope.project.write() as tx:
            change(tx, candidate)

    each = _one_by_one(some, alone)
    outcome.done.extend(each.done)
    outcome.refused.extend(each.refused)


def _one_by_one(some: Sequence[Candidate], change: Callable[[Candidate], None]) -> Outcome:
    outcome = Outcome()
    for candidate in some:
        try:
            change(candidate)
        except MltrailError as error:
            if error.code not in _OF_ONE:
                raise
            outcome.refused.append((candidate, error))
        else:
            outcome.done.append(candidate)
    return outcome
