"""What was promoted, and where aliases pointed, is known after the model was deleted."""

import sqlalchemy as sa

from mltrail_server.domain.ids import ProjectId
from mltrail_server.services.deps import Deps
from mltrail_server.store import aliases, models, promotions, schema
from mltrail_server.store.aliases import Move

PROJECT = ProjectId(1)


def test_a_deleted_models_history_is_kept_under_its_name(deps: Deps) -> None:
    with deps.db.write() as connection:
        model_id = models.create(connection, PROJECT, name="churn", description=None, user_name="me", now=1) or 0
        aliases.record(connection, PROJECT, model_id, Move("champion", None, 1, 2, "me", 77))
        promotions.add(
            connection,
            PROJECT,
            model_id=model_id,
            pipeline_id=77,
            number=1,
            candidate_iid=5,
            job_id=8,
            bump="first",
            reason="the first version",
            user_name="me",
            now=2,
        )
        models.delete(connection, PROJECT, model_id)
        again = models.create(connection, PROJECT, name="churn", description=None, user_name="me", now=3) or 0
    with deps.db.read() as connection:
        # A new model of that name begins anew, and what the old one was is still told.
        assert aliases.history(connection, PROJECT, again) == []
        for table in (schema.alias_event, schema.promotion):
            names = sa.select(table.c.model_name).where(table.c.project_id == PROJECT)
            assert list(connection.execute(names).scalars()) == ["churn"]
