"""What a merge request's merge will do to a model, said beforehand. Reads only, and asks GitLab nothing."""

from dataclasses import dataclass, replace

import sqlalchemy as sa

from mltrail_contract import Contract
from mltrail_server.domain import reviewed
from mltrail_server.domain.grouping import Run
from mltrail_server.domain.ids import ProjectId
from mltrail_server.domain.markdown import Markdown, code
from mltrail_server.store import aliases, promotions
from mltrail_server.store import models as model_store
from mltrail_server.store import versions as version_store

from . import numbering, terms
from .deps import Deps

_NO_PIPELINE = (
    "⚠️ GitLab has run no pipeline on the target branch's last commit, {sha}, and without a pipeline nothing is "
    "promoted. It creates none from jobs in `.pre` and `.post` alone: give the component's input `promote-stage` "
    "another stage."
)


@dataclass(frozen=True, slots=True)
class Preview:
    """`sentence` is safe to stand in a note. `reuse` tells whether the reviewed candidate itself may ship; `refused`,
    as safe, why it would not be promoted as it is.
    """

    version: str
    bump: str
    reason: str
    alias: str
    replaces: str | None
    sentence: Markdown
    reuse: bool = False
    refused: Markdown | None = None

    def knowing(self, *, up_to_date: bool | None, without_pipeline: str | None = None) -> "Preview":
        """Say beside it whether the target branch will have to train again; None where nobody knows. `without_pipeline`
        is the target branch's last commit where no pipeline has run on it: then none may run after the merge either.
        """
        more = "" if self.refused else reviewed.beforehand(reuse=self.reuse, up_to_date=up_to_date)
        if without_pipeline is not None:
            more = f"{more} {_NO_PIPELINE.format(sha=code(without_pipeline[:8]))}"
        return replace(self, sentence=Markdown(f"{self.sentence} {more}".rstrip()))

    def unless(self, refused: Markdown, model: str) -> "Preview":
        """Say instead that it would not be promoted as it is, and why."""
        told = Markdown(f"If this is merged as it is, {code(model)} will not be promoted: {refused}.")
        return replace(self, sentence=told, refused=refused)


def of(
    connection: sa.Connection,
    deps: Deps,
    project_id: ProjectId,
    *,
    model: str,
    run: Run,
    pipeline_id: int,
    contract: Contract | None,
    up_to_date: bool | None,
) -> Preview | None:
    """Foresee the promotion of a merge request's best run; None where the project promotes nothing.

    A project promotes once its contract says so or once it has. `up_to_date` tells whether the pipeline's commit holds
    all of the target branch, None where nobody knows.
    """
    found = terms.of(contract, (), model)
    model_id = model_store.id_of(connection, project_id, model)
    last = promotions.newest(connection, project_id, model_id) if model_id is not None else None
    if found.promote is None or (last is None and not found.by_contract):
        return None
    called, reason, version = numbering.foreseen(
        connection, deps, project_id, model=model, run=run, pipeline_id=pipeline_id, terms=found
    )
    alias = found.promote.alias
    number = aliases.target(connection, project_id, model_id, alias) if model_id is not None else None
    held = version_store.get(connection, project_id, model_id or 0, number) if number is not None else None
    was = f", was {held.semver}" if held else ""
    told = f"Merging promotes {code(model)} {version} ({called}: {code(reason, most=120)}) to {code(alias)}{was}."
    replaces = held.semver if held else None
    foreseen = Preview(str(version), called, reason, alias, replaces, Markdown(told), found.promote.reuse_reviewed)
    return foreseen.knowing(up_to_date=up_to_date)
