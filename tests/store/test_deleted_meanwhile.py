"""PostgreSQL has many writers: what one of them has found may be gone when it writes."""

from dataclasses import replace

import pytest

from mltrail_server.domain.errors import Code, MltrailError
from mltrail_server.domain.ids import ProjectId
from mltrail_server.services.context.deps import Deps
from mltrail_server.store.identity import projects
from mltrail_server.store.registry import models

BACKENDS = ("postgresql",)
PROJECT = ProjectId(1)


def write_late(deps: Deps, model_id: int, what: str) -> None:
    """Find a model, have it deleted by somebody else, and write to it."""
    with deps.project(PROJECT).write() as first:
        assert models.id_of(first, "churn") == model_id
        with deps.project(PROJECT).write() as second:
            models.delete(second, model_id)
        if what == "number":
            models.take_number(replace(first, now=1), model_id)
        else:
            models.put_tags(first, model_id, {"team": "growth"})


@pytest.mark.parametrize("what", ["number", "tag"])
def test_a_model_that_goes_before_it_is_written_to_is_a_conflict(deps: Deps, what: str) -> None:
    with deps.project(PROJECT).write() as tx:
        projects.ensure(replace(tx, now=0), path="team/churn")
        made = models.create(replace(tx, now=0), name="churn", description=None, user_name="dana")
    assert made is not None
    with pytest.raises(MltrailError, match="has just deleted") as caught:
        write_late(deps, made, what)
    assert caught.value.code is Code.CONFLICT
