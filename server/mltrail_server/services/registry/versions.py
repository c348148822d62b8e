"""Create, find, change and delete versions of models."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mltrail_server.domain import filters, limits, prompts, semver
from mltrail_server.domain import model as rules
from mltrail_server.domain.errors import Code, MltrailError, conflict, invalid, not_found
from mltrail_server.domain.model import PROMPT_TAG, VERSION_TAG, VersionStage
from mltrail_server.domain.origins import IMPORTED_TAG
from mltrail_server.domain.paths import Owner
from mltrail_server.domain.reasons import Reason
from mltrail_server.services.context.deps import Scope
from mltrail_server.services.contract import protection
from mltrail_server.services.contract.protection import ProjectPolicy
from mltrail_server.services.tracking import logged_models
from mltrail_server.store.db.transaction import Transaction
from mltrail_server.store.promotion import promotions
from mltrail_server.store.registry import models as model_store
from mltrail_server.store.registry import search as search_store
from mltrail_server.store.registry import versions as store
from mltrail_server.store.registry.versions import NewVersion, Version

from . import aliases, experiments, models, sources
from .sources import Origin

MAX_RESULTS = 200_000
_OF_PROMPT = frozenset({PROMPT_TAG, prompts.TEXT_TAG, prompts.TYPE_TAG, prompts.FORMAT_TAG})
_MOST_PER_PAGE = 10_000
"""A larger page would need more tags than one statement can ask for."""


@dataclass(frozen=True, slots=True)
class VersionPage:
    items: list[Version]
    next_token: str | None


@dataclass(frozen=True, slots=True)
class VersionRequest:
    """What a client asks of a new version. An empty text means that it was not given."""

    source: str = ""
    eid: str = ""
    logged_model_id: str = ""
    run_link: str | None = None
    description: str | None = None


def create(scope: Scope, name: str, request: VersionRequest, tags: Mapping[str, str]) -> Version:
    """Create a version of a model. Its semver is in the tag `gitlab.version`, or else follows the highest one.

    Raises NOT_FOUND for an unknown model, run or logged model, INVALID for a source that is not the project's,
    ALREADY_EXISTS for a semver that was used before.
    """
    for key, value in tags.items():
        rules.check_tag(key, value)
    tags = without_mark(scope, tags)
    with scope.project.write() as tx:
        rules.check_given(name)
        # The source comes first, as in MLflow: a bad one is refused whether or not the model exists.
        origin = _origin(tx, request, is_prompt=tags.get(PROMPT_TAG) == "true")
        model_id = models.id_of(tx, name)
        if tags.get(PROMPT_TAG) != "true":
            origin = _with_run(tx, scope, name, origin)
        number = model_store.take_number(tx, model_id)
        new = NewVersion(
            semver=_unused_semver(tx, model_id, tags.get(VERSION_TAG)),
            candidate_iid=origin.candidate_iid,
            logged_model_id=origin.logged_model_id,
            source=request.source,
            location=origin.location,
            run_link=request.run_link,
            description=request.description,
            user_name=scope.actor.user_name,
        )
        _insert(tx, model_id, number, name=name, new=new, tags=tags)
        return models.version_of(tx, model_id, name, str(number))


def create_promoted(tx: Transaction, model_id: int, model_name: str, new: NewVersion) -> int:
    """Create the version of a promotion in the caller's transaction, and return its number.

    The caller has locked the model, and checked candidate and location. Raises ALREADY_EXISTS for a used semver.
    """
    number = model_store.take_number(tx, model_id)
    _unused_semver(tx, model_id, new.semver)
    _insert(tx, model_id, number, name=model_name, new=new, tags={})
    return number


def get(scope: Scope, name: str, version: str) -> Version:
    with scope.project.read() as tx:
        return _existing(tx, name, version)


def search(
    scope: Scope,
    *,
    filter_text: str = "",
    order_by: Sequence[str] = (),
    limit: int = _MOST_PER_PAGE,
    token: str | None = None,
) -> VersionPage:
    """Return a page of versions of all models; it may be shorter than `limit` although there is a next one."""
    if not 0 < limit <= MAX_RESULTS:
        raise invalid(Reason.PAGE_SIZE, given=limit, most=MAX_RESULTS)
    with scope.project.slow_read() as tx:
        matches, next_token = search_store.search_versions(
            tx,
            clauses=filters.parse(filter_text),
            orders=filters.parse_orders(order_by),
            limit=min(limit, _MOST_PER_PAGE),
            token=token,
        )
    return VersionPage(matches, next_token)


def files_of(scope: Scope, name: str, version: str) -> str:
    """Return the folder of a version's files, relative to the project. Raises NOT_FOUND if it has none, INVALID if they
    are stored elsewhere.
    """
    current = get(scope, name, version)
    if current.elsewhere:
        raise invalid(
            f"The files of version {current.number} of model '{name}' lie at {current.elsewhere}, which this server "
            "does not read. Fetch them from there, with credentials of your own."
        )
    if not current.location:
        raise not_found(
            f"Version {current.number} of model '{name}' was registered without a source, so it has no files. "
            "Register it with runs:/<run id>/<path> as source."
        )
    return current.location


def uri_of(scope: Scope, name: str, version: str) -> str:
    """Return where a client finds a version's files. Raises NOT_FOUND if it has none."""
    current = get(scope, name, version)
    return current.elsewhere or f"mlflow-artifacts:/{files_of(scope, name, version)}"


def describe(scope: Scope, name: str, version: str, description: str | None) -> Version:
    """Change the description; None leaves it as it is."""
    changes = {} if description is None else {"description": description}
    with scope.project.write() as tx:
        current = _existing(tx, name, version)
        protection.check_version(scope, current, "Describing")
        return _change(tx, current, **changes)


def transition(scope: Scope, name: str, version: str, stage: str, *, archive_others: bool) -> Version:
    """Move a version to a stage; with `archive_others`, the others in that stage are archived."""
    wanted = rules.parse_stage(stage)
    if archive_others and wanted in (VersionStage.NONE, VersionStage.ARCHIVED):
        raise invalid(Reason.STAGE_ARCHIVES_NONE, stage=wanted)
    policy = protection.project_policy(scope) if wanted is VersionStage.PRODUCTION else ProjectPolicy()
    with scope.project.write() as tx:
        current = _existing(tx, name, version)
        protection.check_version(scope, current, "Changing the stage of")
        protection.check_stage(tx, scope, current, wanted, policy)
        if archive_others:
            if store.any_promoted(tx, current.model_id, stage=wanted):
                protection.check(scope, f"Archiving promoted versions of {current.model_name}")
            store.archive_others(tx, current.model_id, current.number, stage=wanted, archived=VersionStage.ARCHIVED)
        return _change(tx, current, stage=wanted)


def delete(scope: Scope, name: str, version: str) -> None:
    """Delete a version with its aliases and tags. Its number and semver are never used again.

    Only Maintainers delete a promoted version, and not while an alias that promotions move points at it. Its row, its
    promotion, and the run and files that it rests on are kept. Only they delete any other version with such an alias.
    """
    policy = protection.project_policy(scope)
    with scope.project.write() as tx:
        current = _existing(tx, name, version)
        check_deletable(tx, scope, current, policy)
        for alias in current.aliases:
            aliases.move(tx, scope, current.model_id, alias, None, reason=f"{current.semver} was deleted")
        store.delete_tags(tx, current.model_id, current.number)
        deletion = {"deleted_ms": tx.now, "deleted_by": scope.actor.user_name}
        store.change(tx, current.model_id, current.number, **deletion)
        model_store.change(tx, current.model_id)


def check_deletable(tx: Transaction, scope: Scope, current: Version, policy: ProjectPolicy) -> None:
    """Refuse to delete a version that is promoted, or that an alias points at which promotions move. Raises FORBIDDEN
    or CONFLICT.
    """
    protection.check_version(scope, current, "Deleting")
    doing = f"Deleting version {current.number} of {current.model_name}"
    protection.check_aliases_stay(tx, scope, current.model_id, current.model_name, current.aliases, policy, doing)
    for alias in current.aliases:
        _check_not_in_use(tx, current, alias)


def set_tag(scope: Scope, name: str, version: str, key: str, value: str) -> None:
    rules.check_tag(key, value)
    with scope.project.write() as tx:
        current = _existing(tx, name, version)
        _check_mark(scope, key)
        _check_prompt_stays(current, key, value)
        if not _is_note(current, key):
            protection.check_version(scope, current, "Tagging")
        if key == VERSION_TAG and value != current.semver:
            raise invalid(
                f"The tag '{VERSION_TAG}' names a version when it is created and can't change afterwards: this one is "
                f"{current.semver}. Create another version instead."
            )
        store.put_tags(tx, current.model_id, current.number, {key: value})


def without_mark(scope: Scope, tags: Mapping[str, str]) -> dict[str, str]:
    """Leave out the tag that says that a version was imported, which is copied with the others by clients."""
    return {key: value for key, value in tags.items() if not _is_mark(scope, key)}


def _is_mark(scope: Scope, key: str) -> bool:
    """Whether a tag says that a version was imported: only an import may say so, except in local mode."""
    return key == IMPORTED_TAG and scope.deps.team is not None


def _check_mark(scope: Scope, key: str) -> None:
    if _is_mark(scope, key):
        raise invalid(f"The tag '{key}' is written by mltrail itself. Use another key for data of your own.")


def delete_tag(scope: Scope, name: str, version: str, key: str) -> None:
    """Remove a tag. One that does not exist is no error."""
    limits.check_key(key, "tag")
    with scope.project.write() as tx:
        current = _existing(tx, name, version)
        _check_mark(scope, key)
        _check_prompt_stays(current, key, None)
        if not _is_note(current, key):
            protection.check_version(scope, current, "Removing a tag of")
        store.delete_tags(tx, current.model_id, current.number, key=key)


def _check_prompt_stays(current: Version, key: str, value: str | None) -> None:
    """Refuse to change the text of a prompt's version: a run that was evaluated with it must be promoted with it."""
    before = dict(current.tags).get(key)
    if current.is_prompt and key in _OF_PROMPT and before is not None and value != before:
        raise conflict(
            f"Version {current.number} of the prompt {current.model_name} can't change its text. Register a new "
            "version: `mlflow.genai.register_prompt`."
        )


def _is_note(current: Version, key: str) -> bool:
    """Return whether a tag says something of a prompt's version and is no part of it: old clients note runs there."""
    return current.is_prompt and key not in prompts.TAGS


def _check_not_in_use(tx: Transaction, current: Version, alias: str) -> None:
    """Refuse to delete the version of an alias that promotions move: loading by that alias would find nothing."""
    if current.promoted and protection.manages(tx, current.model_id, alias):
        raise conflict(
            f"{current.model_name} {current.semver} is '{alias}' just now. Point that alias at another version first: "
            f"mltrail rollback --model {current.model_name} --alias {alias}"
        )


def _origin(tx: Transaction, request: VersionRequest, *, is_prompt: bool) -> Origin:
    if is_prompt:
        # A prompt is stored in tags and has no files; MLflow sends a dummy word as its source.
        return Origin("")
    eid, logged_model_id = request.eid or None, request.logged_model_id or None
    return sources.resolve(tx, request.source, eid=eid, logged_model_id=logged_model_id)


def _with_run(tx: Transaction, scope: Scope, name: str, origin: Origin) -> Origin:
    """Give a version without a run a new candidate, whose files are the version's: every version has a candidate."""
    if origin.candidate_iid is not None:
        return origin
    candidate = experiments.candidate_for_version(tx, scope, name)
    own_files = Owner(candidate.experiment_iid, eid=candidate.eid).folder
    return Origin(origin.location or own_files, candidate.iid, origin.logged_model_id)


def _unused_semver(tx: Transaction, model_id: int, wanted: str | None) -> str:
    """Choose a new version's semver. The caller has locked the model, so nobody else takes it meanwhile."""
    promoted = [semver for _, semver in promotions.taken(tx, model_id)]
    known = store.all_semvers(tx, model_id)
    used = {*promoted, *known}
    if wanted is None:
        existing = {*promoted, *(text for text, exists in known.items() if exists)}
        return semver.following(max(existing, key=semver.parse, default=None), taken=used)
    semver.parse(wanted)
    if wanted in used:
        raise MltrailError(
            Code.ALREADY_EXISTS,
            f"Version has already been taken: {wanted} is or was a version of this model, and none is used twice. "
            "Choose a higher one.",
        )
    return wanted


def _insert(
    tx: Transaction, model_id: int, number: int, *, name: str, new: NewVersion, tags: Mapping[str, str]
) -> None:
    store.insert(tx, model_id, number=number, new=new, stage=VersionStage.NONE)
    store.put_tags(tx, model_id, number, tags)
    if new.logged_model_id is not None:
        logged_models.note_version(tx, new.logged_model_id, name=name, number=number)


def _existing(tx: Transaction, name: str, version: str) -> Version:
    rules.parse_version(version)  # text that can't be a version is refused as such, whatever the model
    return models.version_of(tx, models.id_of(tx, name), name, version)


def _change(tx: Transaction, current: Version, **values: object) -> Version:
    store.change(tx, current.model_id, current.number, **values)
    model_store.change(tx, current.model_id)
    return models.version_of(tx, current.model_id, current.model_name, str(current.number))
