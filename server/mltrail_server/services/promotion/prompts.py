"""Prompts whose alias moves with a promotion: to the version that the promoted run has loaded.

What a run has loaded is in its tag `mlflow.linkedPrompts`, as its own jobs have set it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mltrail_server.domain import prompts as domain
from mltrail_server.domain.grouping import Run
from mltrail_server.services.context.deps import Scope
from mltrail_server.services.contract.policy import Policy
from mltrail_server.services.registry import aliases
from mltrail_server.store.db.transaction import Transaction
from mltrail_server.store.promotion import promotions
from mltrail_server.store.promotion.promotions import PROMPT, Promotion
from mltrail_server.store.registry import aliases as alias_store
from mltrail_server.store.registry import models as model_store
from mltrail_server.store.registry import versions as version_store
from mltrail_server.store.registry.versions import Version
from mltrail_server.store.tracking import candidates

_Quoted = Callable[[str], str]
_PLAIN: _Quoted = "`{}`".format
_CLOCKS_MS = 120_000
"""Allowed difference between the clock of a run's client and this server's."""


@dataclass(frozen=True, slots=True)
class PromptMove:
    """`alias` of a prompt is to point at version `now`, and points at `before`: None if at none."""

    model_id: int
    name: str
    alias: str
    before: int | None
    now: int
    semver: str


@dataclass(frozen=True, slots=True)
class PromptMoves:
    """With a `problem` nothing may be promoted."""

    moves: Sequence[PromptMove] = ()
    problem: str = ""


def planned(tx: Transaction, run: Run, policy: Policy, pipeline_id: int, quoted: _Quoted = _PLAIN) -> PromptMoves:
    """Find which aliases move if a run is promoted for a pipeline. A prompt that it has not loaded stays where it is,
    and so does one that a newer pipeline has promoted. Up to eight statements a prompt.
    """
    loaded: dict[str, list[int]] = {}
    for name, number in domain.linked(run.tags.get(domain.LINKED_TAG)):
        loaded.setdefault(name, []).append(number)
    moves = []
    for name, alias in sorted(policy.model.prompts.items()):
        if name not in loaded:
            continue
        problem = _problem(tx, run, name, loaded[name], quoted)
        found = problem or _move(tx, name, alias, loaded[name][0], pipeline_id)
        if isinstance(found, str):
            return PromptMoves(problem=found)
        if found is not None:
            moves.append(found)
    return PromptMoves(moves)


def loads_any(run: Run, policy: Policy) -> bool:
    """Return whether a run has loaded a prompt that is promoted with the model: then it need not log a model itself."""
    return any(one.name in policy.model.prompts for one in domain.linked(run.tags.get(domain.LINKED_TAG)))


def have_moved(tx: Transaction, moves: Sequence[PromptMove]) -> bool:
    """Lock prompts until the end of the transaction, and return whether somebody has moved their aliases meanwhile."""
    for move in moves:
        model_store.lock(tx, move.model_id)
    return any(alias_store.target(tx, move.model_id, move.alias) != move.before for move in moves)


def carry_out(tx: Transaction, scope: Scope, moves: Sequence[PromptMove], with_what: Promotion, model: str) -> None:
    """Move aliases of prompts with a promotion. From then on only Maintainers change these versions."""
    reason = f"promoted with {model} {with_what.semver}"
    for move in moves:
        version_store.change(tx, move.model_id, move.now, promoted=True)
        made = _promotion(move, with_what, reason)
        promotions.add(tx, made, attestation=None)
        aliases.move(
            tx,
            scope,
            move.model_id,
            move.alias,
            move.now,
            expected_from=move.before,
            pipeline_id=with_what.pipeline_id,
            reason=reason,
        )


def _problem(tx: Transaction, run: Run, name: str, numbers: Sequence[int], quoted: _Quoted) -> str:
    """Say why the version of a prompt that a run has loaded can't be promoted; "" if it can."""
    what, who = f"of the prompt {quoted(name)}", quoted(run.name)
    if len(numbers) > 1:
        listed = " and ".join(map(str, numbers))
        return f"{who} has loaded versions {listed} {what}, so it is not clear which one to promote: load one per run"
    model_id = model_store.id_of(tx, name)
    version = version_store.get(tx, model_id, numbers[0]) if model_id is not None else None
    if version is None:
        return f"version {numbers[0]} {what}, which {who} has loaded, was deleted"
    if _is_newer(tx, version, run):
        return f"version {numbers[0]} {what} is newer than {who}, so it is not the one that {who} has loaded"
    return ""


def _move(tx: Transaction, name: str, alias: str, number: int, pipeline_id: int) -> PromptMove | str | None:
    """Return the move of an alias, None if it stays where it is, or why nothing may be promoted."""
    model_id = model_store.id_of(tx, name) or 0
    version = version_store.get(tx, model_id, number)
    newest = promotions.newest(tx, model_id)
    if version is None or (newest is not None and newest.pipeline_id > pipeline_id):
        return None
    if newest is None or newest.pipeline_id < pipeline_id:
        before = alias_store.target(tx, model_id, alias)
        return PromptMove(model_id, name, alias, before, number, version.semver)
    if newest.number == number:
        return None
    return f"this pipeline has promoted version {newest.number} of its prompt with another model, not {number}"


def _is_newer(tx: Transaction, version: Version, run: Run) -> bool:
    """Whether a version was created after the run had ended: then it is another prompt of the same name."""
    candidate = candidates.get_by_iid(tx, run.iid)
    ended_ms = candidate.ended_ms if candidate is not None else None
    return ended_ms is not None and version.created_ms > ended_ms + _CLOCKS_MS


def _promotion(move: PromptMove, with_what: Promotion, reason: str) -> Promotion:
    return Promotion(
        model_id=move.model_id,
        pipeline_id=with_what.pipeline_id,
        number=move.now,
        semver=move.semver,
        pre_release=False,
        alias=move.alias,
        candidate_iid=with_what.candidate_iid,
        trained_in=with_what.trained_in,
        merge_request_iid=with_what.merge_request_iid,
        job_id=with_what.job_id,
        bump=PROMPT,
        reason=reason,
        user_name=with_what.user_name,
        at_ms=with_what.at_ms,
    )
