"""Create, find, rename and delete models."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mltrail_server.domain import filters, limits, semver
from mltrail_server.domain import model as rules
from mltrail_server.domain.errors import MltrailError, already_exists, invalid, not_found
from mltrail_server.domain.reasons import Reason
from mltrail_server.services.context.deps import Scope
from mltrail_server.services.contract import protection
from mltrail_server.services.contract.protection import ProjectPolicy
from mltrail_server.store.db.transaction import Transaction
from mltrail_server.store.promotion import promotions
from mltrail_server.store.registry import aliases, versions
from mltrail_server.store.registry import models as store
from mltrail_server.store.registry import search as search_store
from mltrail_server.store.registry.models import Model
from mltrail_server.store.registry.versions import Version

from . import experiments

MAX_RESULTS = 1000
MOST_VERSIONS = 100
"""How many versions a model lists, where GitLab lists all: a search finds more."""


@dataclass(frozen=True, slots=True)
class ModelWithVersions:
    """A model with its versions, and its aliases with the numbers that they point at. The versions with the highest
    semver of each stage come first; the others follow only if a single model was asked for.
    """

    model: Model
    latest: list[Version]
    aliases: list[tuple[str, int]]


@dataclass(frozen=True, slots=True)
class ModelPage:
    items: list[ModelWithVersions]
    next_token: str | None


def create(
    scope: Scope, *, name: str, description: str | None = None, tags: Mapping[str, str] | None = None
) -> ModelWithVersions:
    """Create a model. Raises ALREADY_EXISTS for a taken name."""
    with scope.project.write() as tx:
        make(tx, scope, name=name, description=description, tags=tags or {})
        return _get(tx, name)


def make(tx: Transaction, scope: Scope, *, name: str, description: str | None, tags: Mapping[str, str]) -> int:
    """Create a model in the caller's transaction, and return its id."""
    rules.check_name(name)
    for key, value in tags.items():
        rules.check_tag(key, value)
    model_id = store.create(tx, name=name, description=description, user_name=scope.actor.user_name)
    if model_id is None:
        raise _taken(name)
    numbers = [number for number, _ in promotions.taken(tx, model_id)]
    if numbers:
        # An earlier model of this name had promoted versions: their numbers are not used again.
        store.change(tx, model_id, last_number=max(numbers))
    store.put_tags(tx, model_id, tags)
    if tags.get(rules.PROMPT_TAG) != "true":
        experiments.make(tx, name)
    return model_id


def get(scope: Scope, name: str) -> ModelWithVersions:
    with scope.project.read() as tx:
        return _get(tx, name)


def search(
    scope: Scope, *, filter_text: str = "", order_by: Sequence[str] = (), limit: int = 100, token: str | None = None
) -> ModelPage:
    """Return a page of models, in six statements however many there are."""
    if not 0 < limit <= MAX_RESULTS:
        raise invalid(Reason.PAGE_SIZE, given=limit, most=MAX_RESULTS)
    with scope.project.slow_read() as tx:
        matches, next_token = search_store.search_models(
            tx, clauses=filters.parse(filter_text), orders=filters.parse_orders(order_by), limit=limit, token=token
        )
        return ModelPage(_with_versions(tx, matches), next_token)


def rename(scope: Scope, name: str, new_name: str) -> ModelWithVersions:
    rules.check_name(new_name)
    policy = protection.project_policy(scope)
    with scope.project.write() as tx:
        model_id = id_of(tx, name)
        check_renamable(tx, scope, model_id, name, policy, changed=new_name != name)
        if store.id_of(tx, new_name) not in (None, model_id):
            raise _taken(new_name)
        if new_name != name:
            protection.check_new_name(tx, scope, model_id, new_name, policy)
        experiments.rename(tx, scope, name, new_name)
        store.change(tx, model_id, name=new_name)
        return _get(tx, new_name)


def describe(scope: Scope, name: str, description: str | None) -> ModelWithVersions:
    """Change the description; None leaves it as it is."""
    changes = {} if description is None else {"description": description}
    with scope.project.write() as tx:
        store.change(tx, id_of(tx, name), **changes)
        return _get(tx, name)


def delete(scope: Scope, name: str) -> None:
    """Delete a model with all its versions. Its name can be used again, and so can the numbers that were not promoted.

    Only Maintainers delete a model with promoted versions, or with an alias that promotions move.
    """
    policy = protection.project_policy(scope)
    with scope.project.write() as tx:
        model_id = id_of(tx, name)
        check_deletable(tx, scope, model_id, name, policy)
        store.delete(tx, model_id)
        experiments.delete(tx, scope, name)


def check_deletable(tx: Transaction, scope: Scope, model_id: int, name: str, policy: ProjectPolicy) -> None:
    """Raises FORBIDDEN or CONFLICT."""
    protection.check_model(tx, scope, model_id, name, "Deleting")
    _check_aliases_stay(tx, scope, model_id, name, policy, "Deleting")
    protection.check_unaliased(tx, model_id, name)


def check_renamable(
    tx: Transaction, scope: Scope, model_id: int, name: str, policy: ProjectPolicy, *, changed: bool = True
) -> None:
    """Raises FORBIDDEN. Whether the new name can be had is another question."""
    protection.check_model(tx, scope, model_id, name, "Renaming")
    if changed:
        _check_aliases_stay(tx, scope, model_id, name, policy, "Renaming")


def set_tag(scope: Scope, name: str, key: str, value: str) -> None:
    rules.check_tag(key, value)
    with scope.project.write() as tx:
        store.put_tags(tx, id_of(tx, name), {key: value})


def delete_tag(scope: Scope, name: str, key: str) -> None:
    """Remove a tag. One that does not exist is no error."""
    limits.check_key(key, "tag")
    with scope.project.write() as tx:
        store.delete_tag(tx, id_of(tx, name), key)


def latest_versions(scope: Scope, name: str, stages: Sequence[str] = ()) -> list[Version]:
    """Return the version with the highest semver of each stage, or of the named stages; the highest of all is first.

    A semver or a number in place of a stage stands for that version: this is how MLflow clients ask for
    `models:/churn/1.4.0`.
    """
    with scope.project.read() as tx:
        model_id = id_of(tx, name)
        latest = versions.latest(tx, [model_id]).get(model_id, [])
        if not stages:
            return latest
        chosen_stages: set[str] = set()
        named: list[Version] = []
        for text in stages:
            if rules.read_stage(text) is None and (text.isdigit() or semver.read(text) is not None):
                named.append(version_of(tx, model_id, name, text))
            else:
                chosen_stages.add(rules.parse_stage(text))
        return [version for version in latest if version.stage in chosen_stages] + named


def id_of(tx: Transaction, name: str) -> int:
    rules.check_given(name)
    model_id = store.id_of(tx, name)
    if model_id is None:
        raise not_found(Reason.NO_MODEL, name=name)
    return model_id


def version_of(tx: Transaction, model_id: int, name: str, text: str) -> Version:
    """Return a version by number or semver. Raises INVALID for text that is neither, NOT_FOUND for no such version."""
    which = rules.parse_version(text)
    version = (
        versions.get(tx, model_id, which) if isinstance(which, int) else versions.get_by_semver(tx, model_id, which)
    )
    if version is None:
        raise not_found(Reason.NO_VERSION, name=name, version=text)
    return version


def _get(tx: Transaction, name: str) -> ModelWithVersions:
    rules.check_given(name)
    model = store.get(tx, name)
    if model is None:
        raise not_found(Reason.NO_MODEL, name=name)
    return _with_versions(tx, [model], most=MOST_VERSIONS)[0]


def _with_versions(tx: Transaction, models: Sequence[Model], *, most: int = 0) -> list[ModelWithVersions]:
    ids = [model.id for model in models]
    if not ids:
        return []
    names = aliases.of_models(tx, ids)
    latest = versions.latest(tx, ids, most=most, names=names)
    return [ModelWithVersions(model, latest.get(model.id, []), names.get(model.id, [])) for model in models]


def _check_aliases_stay(
    tx: Transaction, scope: Scope, model_id: int, name: str, policy: ProjectPolicy, doing: str
) -> None:
    given = [alias for alias, _ in aliases.of_models(tx, [model_id]).get(model_id, [])]
    protection.check_aliases_stay(tx, scope, model_id, name, given, policy, f"{doing} {name}")


def _taken(name: str) -> MltrailError:
    return already_exists(Reason.MODEL_EXISTS, name=name)
