"""What a merge request's merge will do to a model, said beforehand. Reads only, and asks GitLab nothing."""

import sqlalchemy as sa

from mltrail_contract import Contract
from mltrail_server.domain.grouping import Run
from mltrail_server.domain.ids import ProjectId
from mltrail_server.domain.markdown import Markdown, code
from mltrail_server.domain.preview import Preview
from mltrail_server.store import aliases, promotions
from mltrail_server.store import models as model_store
from mltrail_server.store import versions as version_store

from . import numbering, terms
from .deps import Deps


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
