"""Which semver a new version gets: as told, as the Git tag says, or by what changed since the last promotion."""

from dataclasses import dataclass

from mltrail_server.domain import bump, gitlab_ci, selection, semver
from mltrail_server.domain.bump import Data, Facts, Step
from mltrail_server.domain.errors import MltrailError, invalid
from mltrail_server.domain.grouping import Run
from mltrail_server.domain.semver import Bump, Semver
from mltrail_server.services.context.deps import Ci, Deps, Scope
from mltrail_server.services.contract.policy import Policy
from mltrail_server.services.files import model_files
from mltrail_server.services.files.model_files import ModelFiles
from mltrail_server.services.pipelines import trees
from mltrail_server.store.ci import pipelines
from mltrail_server.store.db.transaction import Transaction
from mltrail_server.store.files import files
from mltrail_server.store.promotion import promotions
from mltrail_server.store.promotion.promotions import Promotion
from mltrail_server.store.registry import models as model_store
from mltrail_server.store.registry import versions as version_store
from mltrail_server.store.tracking import inputs, params

_CONTEXT = "mlflow.data.context"


@dataclass(frozen=True, slots=True)
class Foreseen:
    """What a person or a job has said about the number."""

    version: str | None = None
    bump: Bump | None = None


@dataclass(frozen=True, slots=True)
class Used:
    """All semvers that a model has ever had: `promoted` by promotions, `taken` by anybody, `there` of versions that
    nobody has deleted.
    """

    promoted: frozenset[str] = frozenset()
    taken: frozenset[str] = frozenset()
    there: frozenset[str] = frozenset()


def used(tx: Transaction, model_id: int) -> Used:
    promoted = frozenset(semver for _, semver in promotions.taken(tx, model_id))
    known = version_store.all_semvers(tx, model_id)
    there = frozenset(semver for semver, is_there in known.items() if is_there)
    return Used(promoted, promoted.union(known), there)


def step(  # noqa: PLR0913 - all that tells two versions apart
    scope: Scope,
    ci: Ci,
    told: gitlab_ci.Pipeline,
    terms: Policy,
    *,
    model_id: int | None,
    winner: Run,
    held: ModelFiles,
    wish: Bump | None,
    request: gitlab_ci.MergeRequest | None,
) -> Step | None:
    """Decide how large the step from the last promoted version is; None when there is none to compare with.

    Labels (`model::major`) and commit trailers (`Model-Bump: major`) make it larger, never smaller.
    """
    with scope.project.read() as tx:
        last = promotions.newest(tx, model_id) if model_id is not None else None
    fixed = wish or (Bump(terms.promote.bump) if terms.promote and terms.promote.bump != "auto" else None)
    if fixed is not None:
        decided = Step(fixed, "as told")
    elif last is None:
        return None
    else:
        tree = trees.of_pipeline(ci, told.id, told.sha)
        same = _same_code(scope, ci, told, terms, last)
        with scope.project.read() as tx:
            before = _before(tx, scope.deps, last)
            now = _facts(tx, scope.deps, winner.evidence_iid, held.files, held.location, tree=tree)
        decided = bump.decide(before, now, chance=terms.model.repeat_over, same_code=same)
    return bump.largest(decided, _wishes(scope, ci, told, request))


def foreseen(
    tx: Transaction, deps: Deps, *, model: str, run: Run, pipeline_id: int, terms: Policy
) -> tuple[str, str, Semver]:
    """Tell what a merge would make of a run: what the step is called, why, and the version.

    Asks GitLab nothing, so that labels, trailers and the contract's `paths` are left out of it.
    """
    model_id = model_store.id_of(tx, model)
    last = promotions.newest(tx, model_id) if model_id is not None else None
    taken = used(tx, model_id) if model_id is not None else Used()
    decided = Step(Bump(terms.promote.bump), "as told") if terms.promote and terms.promote.bump != "auto" else None
    held = model_files.of_candidate(tx, run.iid, snapshot_iid=run.snapshot_iid)
    if decided is None and last is not None and held is not None:
        tree = pipelines.tree_of(tx, pipeline_id)
        before = _before(tx, deps, last)
        now = _facts(tx, deps, run.evidence_iid, held.files, held.location, tree=tree)
        decided = bump.decide(before, now, chance=terms.model.repeat_over)
    return _counted(decided, taken)


def choose(told: gitlab_ci.Pipeline, wish: Foreseen, decided: Step | None, used: Used) -> tuple[str, str, Semver]:
    """Answer what the step is called, why, and the version.

    Raises INVALID for a version or tag that is none.
    """
    if wish.version is not None:
        return "explicit", "as told", semver.parse(wish.version)
    if told.tag:
        tagged = semver.read(told.ref.removeprefix("v"))
        if tagged is None:
            raise invalid(f"The tag '{told.ref}' is no semantic version. Tag as in v1.4.0, or give --version.")
        return "tag", f"the tag {told.ref}", tagged
    return _counted(decided, used)


def pre_release(target: Semver, used: Used) -> Semver:
    """Name the next release candidate of a version to come."""
    pres = [one.pre for one in map(semver.parse, used.taken) if one.pre and _core(one) == _core(target)]
    numbers = [int(pre[1]) for pre in pres if len(pre) == 2 and pre[0] == "rc" and pre[1].isdigit()]
    return Semver(*_core(target), ("rc", str(max(numbers, default=0) + 1)))


def _counted(decided: Step | None, used: Used) -> tuple[str, str, Semver]:
    # Numbers that somebody has given by hand count as long as nothing was promoted; later they are passed over, and so
    # is one whose version was deleted, so that a slip of the keyboard can be mended.
    released = [one for one in map(semver.parse, used.promoted or used.there) if not one.pre]
    if not released:
        called, reason, following = "first", "the first version", semver.parse(semver.FIRST)
    else:
        decided = decided or Step(Bump.MINOR, "no earlier promotion to compare with")
        called, reason, following = decided.bump.value, decided.reason, max(released).bump(decided.bump)
    while str(following) in used.taken:
        following = following.bump(decided.bump if decided else Bump.PATCH)
    return called, reason, following


def _core(one: Semver) -> tuple[int, int, int]:
    return one.major, one.minor, one.patch


def _wishes(scope: Scope, ci: Ci, told: gitlab_ci.Pipeline, request: gitlab_ci.MergeRequest | None) -> list[Step]:
    """Read labels and trailers of the merge request that brought the commit. Without GitLab's answer there are none."""
    try:
        messages = [ci.gitlab.commit_message(scope.project_id, told.sha)]
        if request is not None:
            messages += ci.gitlab.merge_request_messages(scope.project_id, request.iid)
    except MltrailError:
        return []
    return bump.requested_steps(request.labels if request else (), messages)


def _same_code(scope: Scope, ci: Ci, told: gitlab_ci.Pipeline, terms: Policy, last: Promotion) -> bool | None:
    """Tell whether the model's own files are unchanged, where the contract names them; None where it does not, or where
    nobody can tell.
    """
    if not terms.model.paths:
        return None
    with scope.project.read() as tx:
        before = pipelines.get(tx, last.pipeline_id)
    if before is None:
        return None
    try:
        changed = ci.gitlab.compared_paths(scope.project_id, before.sha, told.sha)
    except MltrailError:
        return None
    # A comparison that GitLab has cut tells nothing: then the trees decide.
    return None if changed is None else not selection.touched(terms.model, changed)


def _before(tx: Transaction, deps: Deps, last: Promotion) -> Facts:
    version = version_store.get(tx, last.model_id, last.number)
    folder = version.location if version else ""
    held = tuple(files.below(tx, folder)) if folder else ()
    tree = pipelines.tree_of(tx, last.pipeline_id)
    return _facts(tx, deps, last.candidate_iid, held, folder, tree=tree)


def _facts(
    tx: Transaction, deps: Deps, iid: int, held: tuple[files.File, ...], folder: str, *, tree: str | None
) -> Facts:
    described = model_files.described(deps, tx.project_id, model_files.by_name(held, folder))
    taken_in, given_out, task = bump.signature_of(described)
    used = inputs.datasets_of(tx, [iid]).get(iid, [])
    return Facts(
        dict(params.of(tx, [iid]).get(iid, [])),
        taken_in,
        given_out,
        task,
        tree,
        {dict(one.tags).get(_CONTEXT) or one.name: Data(one.digest, one.schema) for one in used},
    )
