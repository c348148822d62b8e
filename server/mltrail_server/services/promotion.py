"""A pipeline on a protected ref turns its best candidate into a model version with an alias."""

from dataclasses import dataclass

import sqlalchemy as sa

from mltrail_server.domain import comparison, paths, semver
from mltrail_server.domain.direction import Direction
from mltrail_server.domain.errors import forbidden, invalid
from mltrail_server.domain.grouping import REPEAT_OVER, Run
from mltrail_server.domain.identity import VerifiedClaims
from mltrail_server.domain.model import check_alias
from mltrail_server.domain.semver import Bump
from mltrail_server.store import aliases as alias_store
from mltrail_server.store import candidates, files, inputs, params, promotions
from mltrail_server.store import models as model_store
from mltrail_server.store import versions as version_store
from mltrail_server.store.inputs import Direction as LinkDirection
from mltrail_server.store.promotions import Promotion

from . import aliases, links, pipeline_runs, reconcile, versions
from .deps import Scope


@dataclass(frozen=True, slots=True)
class Wish:
    """What a promotion shall do. `bump` "auto" is decided by what changed; `version` overrides it."""

    pipeline_id: int
    model: str | None = None
    alias: str = "champion"
    rank_by: str | None = None
    better: Direction | None = None
    bump: Bump | None = None
    version: str | None = None
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class Promoted:
    """What became of one model. `state` is promoted, already, dry_run or nothing; then `reason` says why not."""

    state: str
    model: str
    alias: str
    reason: str
    version: str | None = None
    number: int | None = None
    bump: str | None = None
    replaces: str | None = None
    candidate_iid: int | None = None
    candidate_name: str | None = None
    url: str | None = None


@dataclass(frozen=True, slots=True)
class _Files:
    """Where the winner's model is."""

    source: str
    location: str
    logged_model_id: str | None


def promote(scope: Scope, wish: Wish) -> list[Promoted]:
    """Promote the best candidate of each model of the pipeline that asks (or of one model).

    One promotion a model and pipeline: asked again, it answers the same. Raises FORBIDDEN when this job may not.
    """
    check_alias(wish.alias)
    job = _permitted(scope, wish)
    # Statuses of jobs decide who counts, so GitLab is asked now.
    outcome = reconcile.refresh(scope.deps, scope.project_id, wish.pipeline_id)
    if job.ref_type == "branch" and job.ref != outcome.project.default_branch:
        raise forbidden(
            f"Promotion is for the default branch ({outcome.project.default_branch}) and for tags, not for '{job.ref}'."
        )
    done = []
    with scope.deps.db.write() as connection:
        by_model = pipeline_runs.of(connection, scope.project_id, wish.pipeline_id)
        for name, runs in sorted(by_model.items()):
            if wish.model in (None, name):
                done.append(_promote(connection, scope, wish, job, name, runs))
    if not done and wish.model:
        told = f"this pipeline has no runs of it, but of {', '.join(sorted(by_model)) or 'nothing'}"
        done.append(Promoted("nothing", wish.model, wish.alias, told))
    return done


def _permitted(scope: Scope, wish: Wish) -> VerifiedClaims:
    job = scope.actor.job
    if job is None:
        raise forbidden(
            "A promotion is a pipeline's: run `mltrail promote` in a job that has an ID token (`id_tokens:`), "
            "as the `promote` component does."
        )
    if job.pipeline_id != wish.pipeline_id:
        raise forbidden(f"This job belongs to pipeline {job.pipeline_id} and can't promote for {wish.pipeline_id}.")
    if job.pipeline_source == "merge_request_event":
        raise forbidden("A merge request's pipeline does not promote; the default branch does, after the merge.")
    if not job.ref_protected:
        raise forbidden(
            f"'{job.ref}' is not protected, so anybody who can push could promote. Protect it in GitLab "
            "(Settings > Repository)."
        )
    return job


def _promote(  # noqa: PLR0911 - one way out for each reason why not
    connection: sa.Connection, scope: Scope, wish: Wish, job: VerifiedClaims, name: str, runs: list[Run]
) -> Promoted:
    model_id = model_store.id_of(connection, scope.project_id, name)
    if model_id is not None:
        model_store.lock(connection, scope.project_id, model_id)
        before = promotions.of_pipeline(connection, scope.project_id, model_id, wish.pipeline_id)
        if before is not None:
            return _told(scope, wish, name, before.semver, before.number, "already", before.bump, before.reason)
        newest = promotions.newest(connection, scope.project_id, model_id)
        if newest is not None and newest.pipeline_id > wish.pipeline_id:
            return Promoted(
                "nothing",
                name,
                wish.alias,
                f"the newer pipeline {newest.pipeline_id} has promoted {newest.semver} already",
            )
    compared = comparison.compare(runs, [], rank_by=wish.rank_by, better=wish.better)
    winner = compared.best_run
    if winner is None:
        return Promoted("nothing", name, wish.alias, "no run of a succeeded job counts")
    if wish.rank_by and compared.best is not None and wish.rank_by not in compared.best.metrics:
        return Promoted("nothing", name, wish.alias, f"no run has logged the metric '{wish.rank_by}'")
    held = _files_of(connection, scope, winner.iid)
    if held is None:
        return Promoted("nothing", name, wish.alias, f"the best run, {winner.name}, has logged no model")
    bump, reason, version = _version(connection, scope, wish, job, model_id, winner)
    current = alias_store.target(connection, scope.project_id, model_id, wish.alias) if model_id is not None else None
    replaces = _semver_of(connection, scope, model_id, current)
    if wish.dry_run:
        return _told(scope, wish, name, version, None, "dry_run", bump, reason, winner=winner, replaces=replaces)
    # The version gets names of its own for the files as they are now: whatever becomes of the run, they stay.
    folder = paths.of_promotion(wish.pipeline_id, winner.iid).folder
    held_files = files.below(connection, scope.project_id, held.location)
    files.copy(connection, scope.project_id, held_files, source=held.location, target=folder)
    number, chosen = versions.create_promoted(
        connection,
        scope,
        model_name=name,
        candidate_iid=winner.iid,
        eid=_eid(connection, scope, winner.iid),
        source=held.source,
        location=folder,
        logged_model_id=held.logged_model_id,
        semver=version,
        description=None,
        tags={},
    )
    made_id = model_store.id_of(connection, scope.project_id, name) or 0
    aliases.move(connection, scope, made_id, wish.alias, number, expected_from=current, pipeline_id=wish.pipeline_id)
    candidates.change(connection, scope.project_id, winner.iid, promoted=True)
    made = Promotion(
        made_id,
        wish.pipeline_id,
        number,
        chosen,
        pre_release=False,
        alias=wish.alias,
        candidate_iid=winner.iid,
        trained_in=wish.pipeline_id,
        merge_request_iid=None,
        job_id=job.job_id,
        bump=bump,
        reason=reason,
        user_name=scope.actor.user_name,
        at_ms=scope.now,
    )
    promotions.add(connection, scope.project_id, made, attestation=None)
    return _told(scope, wish, name, chosen, number, "promoted", bump, reason, winner=winner, replaces=replaces)


def _version(
    connection: sa.Connection, scope: Scope, wish: Wish, job: VerifiedClaims, model_id: int | None, winner: Run
) -> tuple[str, str, str]:
    """Decide the version: as told, as the tag says, or by what changed since the last promotion. Answers bump, reason
    and version.
    """
    if wish.version is not None:
        return "explicit", "as told", str(semver.parse(wish.version))
    if job.ref_type == "tag":
        tagged = semver.read(job.ref.removeprefix("v"))
        if tagged is None:
            raise invalid(f"The tag '{job.ref}' is no semantic version. Tag as in v1.4.0, or give --version.")
        return "tag", f"the tag {job.ref}", str(tagged)
    highest = version_store.highest(connection, scope.project_id, model_id) if model_id is not None else None
    if highest is None or model_id is None:
        return "first", "the first version", semver.FIRST
    bump, reason = _bump(connection, scope, wish, model_id, winner)
    used = version_store.all_semvers(connection, scope.project_id, model_id)
    return bump.value, reason, str(max(map(semver.parse, used)).bump(bump))


def _bump(connection: sa.Connection, scope: Scope, wish: Wish, model_id: int, winner: Run) -> tuple[Bump, str]:
    if wish.bump is not None:
        return wish.bump, "as told"
    last = promotions.newest(connection, scope.project_id, model_id)
    if last is None:
        return Bump.MINOR, "no earlier promotion to compare with"
    before = dict(params.of(connection, scope.project_id, [last.candidate_iid]).get(last.candidate_iid, []))
    changed = [one for one in comparison.changed_parameters(before, winner.params) if one.name not in REPEAT_OVER]
    if not changed:
        return Bump.PATCH, "the same parameters, trained again"
    told = [f"{one.name} {one.before or '(unset)'} → {one.after or '(unset)'}" for one in changed[:3]]
    rest = f" and {len(changed) - 3} more" if len(changed) > 3 else ""
    return Bump.MINOR, ", ".join(told) + rest


def _files_of(connection: sa.Connection, scope: Scope, candidate_iid: int) -> _Files | None:
    """Find the model that a candidate has logged: MLflow 3's logged model, or a folder with an MLmodel file."""
    candidate = candidates.get_by_iid(connection, scope.project_id, candidate_iid)
    if candidate is None:
        return None
    logged = inputs.models_of(connection, scope.project_id, [candidate_iid]).get(candidate_iid, [])
    outputs = [link.model_id for link in logged if link.direction is LinkDirection.OUTPUT]
    folders = [(f"{candidate.experiment_iid}/models/{model_id}/artifacts", model_id) for model_id in outputs[::-1]]
    for folder, model_id in folders:
        if files.get(connection, scope.project_id, f"{folder}/MLmodel") is not None:
            return _Files(f"models:/{model_id}", folder, model_id)
    root = f"{candidate.experiment_iid}/{candidate.eid}/artifacts"
    for file in files.below(connection, scope.project_id, root):
        folder, _, base = file.path.rpartition("/")
        if base == "MLmodel":
            return _Files(f"runs:/{candidate.eid}/{folder.removeprefix(root).strip('/')}", folder, None)
    return None


def _eid(connection: sa.Connection, scope: Scope, candidate_iid: int) -> str:
    candidate = candidates.get_by_iid(connection, scope.project_id, candidate_iid)
    return candidate.eid if candidate is not None else ""


def _semver_of(connection: sa.Connection, scope: Scope, model_id: int | None, number: int | None) -> str | None:
    if model_id is None or number is None:
        return None
    found = version_store.get(connection, scope.project_id, model_id, number)
    return found.semver if found else None


def _told(  # noqa: PLR0913, PLR0917 - one argument a field
    scope: Scope,
    wish: Wish,
    name: str,
    version: str,
    number: int | None,
    state: str,
    bump: str,
    reason: str,
    *,
    winner: Run | None = None,
    replaces: str | None = None,
) -> Promoted:
    url = links.model(scope.deps.settings, scope.actor.project_path, name)
    return Promoted(
        state,
        name,
        wish.alias,
        reason,
        version,
        number,
        bump,
        replaces,
        winner.iid if winner else None,
        winner.name if winner else None,
        url,
    )
