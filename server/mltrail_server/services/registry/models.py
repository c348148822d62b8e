"""Make, find, rename and delete models."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mltrail_server.domain import filters, limits, semver
from mltrail_server.domain import model as rules
from mltrail_server.domain.errors import MltrailError, already_exists, invalid, not_found
from mltrail_server.domain.reasons import Reason
from mltrail_server.services.context.deps import Scope
from mltrail_server.services.contract import protection
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
"""So many a model shows of itself, as GitLab shows all: more are found by a search."""


@dataclass(frozen=True, slots=True)
class ModelWithVersions:
    """A model with its versions, and its aliases with the numbers they point at. Of each stage the version with the
    highest semver comes first; others follow where a model is shown by itself.
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
    """Make a model. Raises ALREADY_EXISTS for a taken name."""
    with scope.project.write() as tx:
        make(tx, scope, name=name, description=description, tags=tags or {})
        return _one(tx, name)


def make(tx: Transaction, scope: Scope, *, name: str, description: str | None, tags: Mapping[str, str]) -> int:
    """Make a model in the caller's transaction, and answer its id."""
    rules.check_name(name)
    for key, value in tags.items():
        rules.check_tag(key, value)
    made = store.create(tx, name=name, description=description, user_name=scope.actor.user_name)
    if made is None:
        raise _taken(name)
    numbers = [number for number, _ in promotions.taken(tx, made)]
    if numbers:
        # A model of this name had promoted versions: their numbers stay theirs.
        store.change(tx, made, last_number=max(numbers))
    store.put_tags(tx, made, tags)
    if tags.get(rules.PROMPT_TAG) != "true":
        experiments.make(tx, name)
    return made


def get(scope: Scope, name: str) -> ModelWithVersions:
    with scope.project.read() as tx:
        return _one(tx, name)


def search(
    scope: Scope, *, filter_text: str = "", order_by: Sequence[str] = (), limit: int = 100, token: str | None = None
) -> ModelPage:
    """Find a page of models, in six statements however many there are."""
    if not 0 < limit <= MAX_RESULTS:
        raise invalid(Reason.PAGE_SIZE_OF_REGISTRY, given=limit, most=MAX_RESULTS)
    with scope.project.slow_read() as tx:
        found, next_token = search_store.search_models(
            tx, clauses=filters.parse(filter_text), orders=filters.parse_orders(order_by), limit=limit, token=token
        )
        return ModelPage(_registered(tx, found), next_token)


def rename(scope: Scope, name: str, new_name: str) -> ModelWithVersions:
    rules.check_name(new_name)
    policy = protection.project_policy(scope)
    with scope.project.write() as tx:
        model_id = id_of(tx, name)
        protection.check_model(tx, scope, model_id, name, "Renaming")
        if store.id_of(tx, new_name) not in (None, model_id):
            raise _taken(new_name)
        if new_name != name:
            protection.check_new_name(tx, scope, model_id, new_name, policy)
        experiments.rename(tx, scope, name, new_name)
        store.change(tx, model_id, name=new_name)
        return _one(tx, new_name)


def describe(scope: Scope, name: str, description: str | None) -> ModelWithVersions:
    """Change the description; None leaves it as it is."""
    changes = {} if description is None else {"description": description}
    with scope.project.write() as tx:
        store.change(tx, id_of(tx, name), **changes)
        return _one(tx, name)


def delete(scope: Scope, name: str) -> None:
    """Delete a model with all its versions. Its name is free again, and so is its numbering up to what was promoted.

    A model with promoted versions is deleted by stewards only.
    """
    with scope.project.write() as tx:
        model_id = id_of(tx, name)
        protection.check_model(tx, scope, model_id, name, "Deleting")
        protection.check_unaliased(tx, model_id, name)
        store.delete(tx, model_id)
        experiments.delete(tx, scope, name)


def set_tag(scope: Scope, name: str, key: str, value: str) -> None:
    rules.check_tag(key, value)
    with scope.project.write() as tx:
        store.put_tags(tx, id_of(tx, name), {key: value})


def delete_tag(scope: Scope, name: str, key: str) -> None:
    """Remove a tag; one that is not there is no error."""
    limits.check_key(key, "tag")
    with scope.project.write() as tx:
        store.delete_tag(tx, id_of(tx, name), key)


def latest_versions(scope: Scope, name: str, stages: Sequence[str] = ()) -> list[Version]:
    """Find the version with the highest semver of each stage, or of those that are named; the highest of all is first.

    A semver or a number in the place of a stage names its version: that is how MLflow clients ask for
    `models:/churn/1.4.0`.
    """
    with scope.project.read() as tx:
        model_id = id_of(tx, name)
        latest = versions.latest(tx, [model_id]).get(model_id, [])
        if not stages:
            return latest
        wanted: set[str] = set()
        named: list[Version] = []
        for text in stages:
            if rules.read_stage(text) is None and (text.isdigit() or semver.read(text) is not None):
                named.append(version_of(tx, model_id, name, text))
            else:
                wanted.add(rules.parse_stage(text))
        return [version for version in latest if version.stage in wanted] + named


def id_of(tx: Transaction, name: str) -> int:
    rules.check_given(name)
    found = store.id_of(tx, name)
    if found is None:
        raise not_found(Reason.NO_MODEL, name=name)
    return found


def version_of(tx: Transaction, model_id: int, name: str, text: str) -> Version:
    """Find a version by number or semver. Raises INVALID for what is neither, NOT_FOUND for what is not there."""
    which = rules.parse_version(text)
    found = versions.get(tx, model_id, which) if isinstance(which, int) else versions.get_by_semver(tx, model_id, which)
    if found is None:
        raise not_found(Reason.NO_VERSION, name=name, version=text)
    return found


def _one(tx: Transaction, name: str) -> ModelWithVersions:
    rules.check_given(name)
    model = store.get(tx, name)
    if model is None:
        raise not_found(Reason.NO_MODEL, name=name)
    return _registered(tx, [model], most=MOST_VERSIONS)[0]


def _registered(tx: Transaction, found: Sequence[Model], *, most: int = 0) -> list[ModelWithVersions]:
    ids = [model.id for model in found]
    if not ids:
        return []
    names = aliases.of_models(tx, ids)
    latest = versions.latest(tx, ids, most=most, names=names)
    return [ModelWithVersions(model, latest.get(model.id, []), names.get(model.id, [])) for model in found]


def _taken(name: str) -> MltrailError:
    return already_exists(Reason.MODEL_EXISTS, name=name)
