"""The semver of a new version: as requested, as the Git tag says, or by what changed since the last promotion."""

from dataclasses import dataclass

from mltrail_server.domain import bump, gitlab_ci, selection, semver
from mltrail_server.domain.bump import Data, Facts, Step
from mltrail_server.domain.errors import MltrailError, invalid
from mltrail_server.domain.grouping import Run
from mltrail_server.domain.semver import Bump, Semver
from mltrail_server.services.context.deps import Ci, Deps
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


@dataclass(frozen=True, slots=True)
class RequestedNumber:
    """What a person or a job has requested: this version, or a step of this size."""

    version: str | None = None
    bump: Bump | None = None


@dataclass(frozen=True, slots=True)
class NextVersion:
    """A version to come. `bump` is `explicit`, `tag`, `first`, or the size of the step; `reason` says why."""

    bump: str
    reason: str
    semver: Semver


@dataclass(frozen=True, slots=True)
class UsedSemvers:
    """All semvers that a model has ever had: `promoted` by promotions, `taken` in any way, `there` for versions that
    nobody has deleted.
    """

    promoted: frozenset[str] = frozenset()
    taken: frozenset[str] = frozenset()
    there: frozenset[str] = frozenset()


def used_semvers(tx: Transaction, model_id: int) -> UsedSemvers:
    promoted = frozenset(semver for _, semver in promotions.taken(tx, model_id))
    stored = version_store.all_semvers(tx, model_id)
    there = frozenset(semver for semver, is_there in stored.items() if is_there)
    return UsedSemvers(promoted, promoted.union(stored), there)


def step(  # noqa: PLR0913 - all that tells two versions apart
    ci: Ci,
    pipeline: gitlab_ci.GitLabPipeline,
    policy: Policy,
    *,
    model_id: int | None,
    winner: Run,
    logged: ModelFiles,
    requested: Bump | None,
    request: gitlab_ci.GitLabMergeRequest | None,
) -> Step | None:
    """Decide how large the step from the last promoted version is; None if there is none to compare with.

    Labels (`model::major`) and commit trailers (`Model-Bump: major`) of the merge request can make it larger, never
    smaller.
    """
    with ci.project.read() as tx:
        last = promotions.newest(tx, model_id) if model_id is not None else None
    decided = Step(requested, "as requested") if requested else _fixed_step(policy)
    if decided is None:
        if last is None:
            return None
        tree = trees.of_pipeline(ci, pipeline.id, pipeline.sha)
        same_code = _same_code(ci, pipeline, policy, last)
        with ci.project.read() as tx:
            before = _facts_of_last(tx, ci.deps, last)
            now = _facts(tx, ci.deps, winner.evidence_iid, logged.files, logged.location, tree=tree)
        decided = bump.decide(before, now, chance=policy.model.repeat_over, same_code=same_code)
    return bump.largest(decided, _requested_steps(ci, pipeline, request))


def choose(
    pipeline: gitlab_ci.GitLabPipeline, requested: RequestedNumber, decided: Step | None, used: UsedSemvers
) -> NextVersion:
    """Choose the version of a promotion. Raises INVALID for a version or tag that is not a semver."""
    if requested.version is not None:
        return NextVersion("explicit", "as requested", semver.parse(requested.version))
    if pipeline.tag:
        tagged = semver.read(pipeline.ref.removeprefix("v"))
        if tagged is None:
            raise invalid(f"The tag '{pipeline.ref}' is not a semantic version. Tag as in v1.4.0, or give --version.")
        return NextVersion("tag", f"the tag {pipeline.ref}", tagged)
    return _next(decided, used)


def pre_release(target: Semver, used: UsedSemvers) -> Semver:
    """Return the next release candidate of a version to come."""
    pres = [one.pre for one in map(semver.parse, used.taken) if one.pre and _core(one) == _core(target)]
    numbers = [int(pre[1]) for pre in pres if len(pre) == 2 and pre[0] == "rc" and pre[1].isdigit()]
    return Semver(*_core(target), ("rc", str(max(numbers, default=0) + 1)))


def foresee(tx: Transaction, deps: Deps, *, model: str, run: Run, pipeline_id: int, policy: Policy) -> NextVersion:
    """Foresee the version that a merge would make of a run.

    Asks GitLab nothing, so labels, trailers and the contract's `paths` are not considered.
    """
    model_id = model_store.id_of(tx, model)
    last = promotions.newest(tx, model_id) if model_id is not None else None
    used = used_semvers(tx, model_id) if model_id is not None else UsedSemvers()
    decided = _fixed_step(policy)
    logged = model_files.of_candidate(tx, run.iid, snapshot_iid=run.snapshot_iid)
    if decided is None and last is not None and logged is not None:
        tree = pipelines.tree_of(tx, pipeline_id)
        before = _facts_of_last(tx, deps, last)
        now = _facts(tx, deps, run.evidence_iid, logged.files, logged.location, tree=tree)
        decided = bump.decide(before, now, chance=policy.model.repeat_over)
    return _next(decided, used)


def _fixed_step(policy: Policy) -> Step | None:
    """Return the step that the contract asks for every time; None if what changed decides."""
    if policy.promote is None or policy.promote.bump == "auto":
        return None
    return Step(Bump(policy.promote.bump), "as the contract file says")


def _next(decided: Step | None, used: UsedSemvers) -> NextVersion:
    # Versions that people have numbered count until something is promoted. After that they are skipped, also if they
    # were deleted, so that a mistyped number does no lasting harm.
    released = [one for one in map(semver.parse, used.promoted or used.there) if not one.pre]
    if not released:
        called, reason, following = "first", "no earlier release", semver.parse(semver.FIRST)
    else:
        decided = decided or Step(Bump.MINOR, "no earlier promotion to compare with")
        called, reason, following = decided.bump.value, decided.reason, max(released).bump(decided.bump)
    while str(following) in used.taken:
        following = following.bump(decided.bump if decided else Bump.PATCH)
    return NextVersion(called, reason, following)


def _core(version: Semver) -> tuple[int, int, int]:
    return version.major, version.minor, version.patch


def _requested_steps(
    ci: Ci, pipeline: gitlab_ci.GitLabPipeline, request: gitlab_ci.GitLabMergeRequest | None
) -> list[Step]:
    """Read the labels and trailers of the merge request that brought the commit. None if GitLab does not answer."""
    try:
        messages = [ci.gitlab.commit_message(ci.project_id, pipeline.sha)]
        if request is not None:
            messages += ci.gitlab.merge_request_messages(ci.project_id, request.iid)
    except MltrailError:
        return []
    return bump.requested_steps(request.labels if request else (), messages)


def _same_code(ci: Ci, pipeline: gitlab_ci.GitLabPipeline, policy: Policy, last: Promotion) -> bool | None:
    """Whether the model's own files are unchanged; None if the contract does not name them, or if it is not known."""
    if not policy.model.paths:
        return None
    with ci.project.read() as tx:
        before = pipelines.get(tx, last.pipeline_id)
    if before is None:
        return None
    try:
        changed = ci.gitlab.compared_paths(ci.project_id, before.sha, pipeline.sha)
    except MltrailError:
        return None
    # GitLab may cut a comparison short, which then shows nothing: the trees decide.
    return None if changed is None else not selection.touched(policy.model, changed)


def _facts_of_last(tx: Transaction, deps: Deps, last: Promotion) -> Facts:
    version = version_store.get(tx, last.model_id, last.number)
    folder = version.location if version else ""
    stored = tuple(files.below(tx, folder)) if folder else ()
    tree = pipelines.tree_of(tx, last.pipeline_id)
    return _facts(tx, deps, last.candidate_iid, stored, folder, tree=tree)


def _facts(
    tx: Transaction, deps: Deps, iid: int, stored: tuple[files.File, ...], folder: str, *, tree: str | None
) -> Facts:
    described = model_files.described(deps, tx.project_id, model_files.by_name(stored, folder))
    inputs_of, outputs, task = bump.signature_of(described)
    datasets = inputs.datasets_of(tx, [iid]).get(iid, [])
    return Facts(
        dict(params.of(tx, [iid]).get(iid, [])),
        inputs_of,
        outputs,
        task,
        tree,
        {one.context or one.name: Data(one.digest, one.schema) for one in datasets},
    )
