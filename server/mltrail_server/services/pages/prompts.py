"""What the pages of prompts show. Prompts are models with a tag of MLflow's, and their text is in their versions' tags.

https://mlflow.org/docs/latest/genai/prompt-registry/
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field

from mltrail_server.domain import json_text
from mltrail_server.domain.errors import not_found
from mltrail_server.domain.filters import Clause, Entity, Order
from mltrail_server.domain.model import PROMPT_TAG
from mltrail_server.domain.prompts import FORMAT_TAG, MODEL_TAG, TAGS, linked, messages_of, prompt_of
from mltrail_server.services.context.deps import Scope
from mltrail_server.services.contract import directions
from mltrail_server.services.registry import models
from mltrail_server.store.db.transaction import Transaction
from mltrail_server.store.pages import prompts as pages_store
from mltrail_server.store.pages.prompts import LoadingRun
from mltrail_server.store.promotion import promotions
from mltrail_server.store.registry import aliases as alias_store
from mltrail_server.store.registry import models as store
from mltrail_server.store.registry import search
from mltrail_server.store.registry.aliases import AliasMove
from mltrail_server.store.registry.models import Model
from mltrail_server.store.registry.versions import Version

_INTERNAL = frozenset({PROMPT_TAG, *TAGS})
_MOST_MOVES = 50
_MOST_RUNS = 500


@dataclass(frozen=True, slots=True)
class PromptText:
    """What a version says. `messages` are pairs of role and content if it is a chat; then `text` has them all."""

    text: str
    messages: Sequence[tuple[str, str]] = ()
    config: str = ""
    response_format: str = ""
    tags: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True, slots=True)
class PromptVersion:
    version: Version
    content: PromptText
    runs: Sequence[LoadingRun] = ()
    traces: int = 0


@dataclass(frozen=True, slots=True)
class ListedPrompt:
    model: Model
    aliases: Sequence[tuple[str, int]]
    versions: int
    newest: int | None


@dataclass(frozen=True, slots=True)
class PromptView:
    """A prompt with a page of its versions, newest first. `managed` are the aliases that only promotions move."""

    model: Model
    versions: list[PromptVersion]
    next_token: str | None
    aliases: list[tuple[str, int]]
    managed: set[str]
    moves: Sequence[AliasMove]
    tags: Sequence[tuple[str, str]] = field(default=())


def is_prompt(scope: Scope, name: str) -> bool:
    with scope.project.read() as tx:
        model = store.get(tx, name)
    return model is not None and _is_prompt(model)


def listed(scope: Scope, *, text: str = "", limit: int, token: str | None) -> tuple[list[ListedPrompt], str | None]:
    """List the prompts whose name contains a text, the last changed first."""
    clauses = [Clause(Entity.TAG, PROMPT_TAG, "=", "true")]
    if text:
        clauses.append(Clause(Entity.ATTRIBUTE, "name", "ILIKE", f"%{text}%"))
    orders = [Order(Entity.ATTRIBUTE, "last_updated_timestamp", descending=True)]
    with scope.project.read() as tx:
        found, next_token = search.search_models(tx, clauses=clauses, orders=orders, limit=limit, token=token)
        ids = [model.id for model in found]
        counts = store.counts(tx, ids)
        aliases = alias_store.of_models(tx, ids)
    items = []
    for model in found:
        count = counts.get(model.id)
        items.append(
            ListedPrompt(
                model, aliases.get(model.id, []), count.versions if count else 0, count.newest if count else None
            )
        )
    return items, next_token


def get(scope: Scope, name: str, *, limit: int, token: str | None) -> PromptView:
    """Return a prompt, in a fixed number of statements. Raises NOT_FOUND, also for a model that is none."""
    with scope.project.read() as tx:
        model = store.get(tx, name)
        if model is None or not _is_prompt(model):
            raise not_found(f"This project has no prompt '{name}'.")
        found, next_token = search.search_versions(
            tx,
            clauses=[
                Clause(Entity.ATTRIBUTE, "name", "=", name),
                Clause(Entity.TAG, PROMPT_TAG, "=", "true"),
            ],
            orders=[Order(Entity.ATTRIBUTE, "version_number", descending=True)],
            limit=limit,
            token=token,
        )
        aliases = alias_store.of_models(tx, [model.id]).get(model.id, [])
        moves = alias_store.history(tx, model.id)[:_MOST_MOVES]
        managed = promotions.managed_aliases(tx, model.id) | _by_contract(tx, name)
        loading = _by_version(name, pages_store.runs(tx, limit=_MOST_RUNS))
        traces = pages_store.trace_counts(tx, name, [str(one.number) for one in found])
    versions = [
        PromptVersion(one, content(dict(one.tags)), loading.get(str(one.number), []), traces.get(str(one.number), 0))
        for one in found
    ]
    tags = [(key, value) for key, value in model.tags if key != PROMPT_TAG]
    return PromptView(model, versions, next_token, aliases, managed, moves, tags)


def version(scope: Scope, name: str, which: str) -> PromptVersion:
    """Return one version of a prompt, without what used it. Raises NOT_FOUND, and INVALID for no version's number."""
    with scope.project.read() as tx:
        found = models.version_of(tx, models.id_of(tx, name), name, which)
    return PromptVersion(found, content(dict(found.tags)))


def content(tags: dict[str, str]) -> PromptText:
    """Read what a version's tags say. What can't be read is shown as the text that it is."""
    own = [(key, value) for key, value in sorted(tags.items()) if key not in _INTERNAL]
    return PromptText(
        prompt_of(tags).text,
        messages_of(tags),
        _laid_out(tags.get(MODEL_TAG, "")),
        _laid_out(tags.get(FORMAT_TAG, "")),
        own,
    )


def _is_prompt(model: Model) -> bool:
    return dict(model.tags).get(PROMPT_TAG) == "true"


def _by_contract(tx: Transaction, name: str) -> set[str]:
    """List the aliases of a prompt that, by the contract file, only promotions move."""
    contract = directions.newest_contract(tx)
    models_of_contract = contract.models.values() if contract else ()
    return {model.prompts[name] for model in models_of_contract if name in model.prompts}


def _by_version(name: str, runs: Sequence[LoadingRun]) -> dict[str, list[LoadingRun]]:
    found: dict[str, list[LoadingRun]] = {}
    for run in runs:
        for prompt, number in linked(run.linked):
            if prompt == name:
                found.setdefault(str(number), []).append(run)
    return found


def _laid_out(text: str) -> str:
    try:
        return json.dumps(json_text.loads(text), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        return text
