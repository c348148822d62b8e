"""Scorers: what makes feedback. They are kept as the JSON that clients make of them, and never run here."""

import json
import re
import uuid
from collections.abc import Sequence

from mltrail_server.domain import limits
from mltrail_server.domain.errors import Code, MltrailError, invalid, not_found
from mltrail_server.domain.reasons import Reason
from mltrail_server.services.context.deps import Scope
from mltrail_server.services.tracking import experiments, stamp
from mltrail_server.store.db.transaction import Transaction
from mltrail_server.store.traces import scorers as store
from mltrail_server.store.traces.scorers import ScorerVersion

_GATEWAY = re.compile(r"gateway:/", re.IGNORECASE)


def register(scope: Scope, *, experiment_iid: int, name: str, serialized: str) -> ScorerVersion:
    """Add a version of a scorer. A number is never given out twice, also after a version was deleted.

    Raises INVALID for a scorer that carries code: whoever loads it would run it.
    """
    if not name.strip():
        raise invalid("Scorer name cannot be empty or contain only whitespace.")
    if len(name) > limits.MAX_SCORER_NAME:
        raise invalid(f"A scorer's name has at most {limits.MAX_SCORER_NAME} characters, not {len(name)}.")
    check(serialized)
    stamp.check_may_begin(scope)
    with scope.project.write() as tx:
        experiments.check_active(experiments.existing(tx, experiment_iid))
        made = store.add(
            tx,
            experiment_iid=experiment_iid,
            name=name,
            new_id=str(uuid.uuid4()),
            serialized=serialized,
            user_name=scope.actor.user_name,
        )
        if made.version > limits.MAX_SCORER_VERSIONS:
            raise MltrailError(
                Code.QUOTA,
                f"The scorer '{name}' has had {limits.MAX_SCORER_VERSIONS:,} versions, which is the limit. Register a "
                "scorer only when it changes, not in every evaluation, or delete this one with all its versions.",
            )
    return made


def latest(scope: Scope, experiment_iid: int) -> list[ScorerVersion]:
    """Return the newest version of each of an experiment's scorers."""
    with scope.project.read() as tx:
        experiments.check_active(experiments.existing(tx, experiment_iid))
        return store.latest(tx, [experiment_iid])


def latest_of(scope: Scope, experiment_iids: Sequence[int] | None) -> list[ScorerVersion]:
    """Return the same for several experiments, or for all; those that do not exist or are deleted have none."""
    with scope.project.slow_read() as tx:
        return store.latest(tx, experiment_iids)


def versions(scope: Scope, experiment_iid: int, name: str) -> list[ScorerVersion]:
    with scope.project.read() as tx:
        return _existing(tx, experiment_iid, name)


def get(scope: Scope, experiment_iid: int, name: str, version: int | None) -> ScorerVersion:
    """Return a version of a scorer, the newest if `version` is None."""
    with scope.project.read() as tx:
        return _one(_existing(tx, experiment_iid, name), experiment_iid, name, version)


def delete(scope: Scope, experiment_iid: int, name: str, version: int | None) -> None:
    """Delete one version of a scorer, or all of them if `version` is None."""
    stamp.check_may_begin(scope)
    with scope.project.write() as tx:
        found = _one(_existing(tx, experiment_iid, name), experiment_iid, name, version)
        store.delete(tx, found.scorer_id, version)


def _existing(tx: Transaction, experiment_iid: int, name: str) -> list[ScorerVersion]:
    experiments.check_active(experiments.existing(tx, experiment_iid))
    found = store.versions(tx, experiment_iid, name)
    if not found:
        raise not_found(Reason.NO_SCORER, iid=experiment_iid, name=name[:80])
    return found


def _one(found: list[ScorerVersion], experiment_iid: int, name: str, version: int | None) -> ScorerVersion:
    if version is None:
        return found[-1]
    for one in found:
        if one.version == version:
            return one
    raise not_found(Reason.NO_SCORER_VERSION, iid=experiment_iid, name=name[:80], version=version)


def check(serialized: str) -> None:
    if len(serialized) > limits.MAX_SCORER:
        raise invalid(f"A scorer has at most {limits.MAX_SCORER:,} characters as JSON, not {len(serialized):,}.")
    try:
        scorer = json.loads(serialized)
    except (ValueError, RecursionError) as error:
        raise invalid("serialized_scorer must be valid JSON") from error
    if not isinstance(scorer, dict):
        raise invalid("serialized_scorer must be a JSON object, as `Scorer.model_dump_json()` makes it.")
    for part in _parts(scorer):
        if part.get("call_source") is not None:  # clients name it for all kinds of scorers
            raise invalid(
                "Custom scorers (the decorator @scorer) are code that anyone who loads them would run, so mltrail does "
                "not store them. Keep the code in the repository and import it, or register a built-in scorer or one "
                "made by make_judge()."
            )
        model = part.get("model")
        if isinstance(model, str) and not model.strip():
            raise invalid("Scorer model cannot be empty or contain only whitespace.")
        if isinstance(model, str) and _GATEWAY.match(model):
            raise not_found(
                f"The scorer's model is '{model[:80]}', and mltrail is not a gateway to language models. Name the "
                "provider's model, such as openai:/gpt-4.1."
            )


def _parts(scorer: object) -> list[dict[str, object]]:
    """List all objects in a scorer, since one may consist of others."""
    found: list[dict[str, object]] = []
    waiting = [scorer]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            found.append(part)
            waiting += part.values()
        elif isinstance(part, list):
            waiting += part
    return found
