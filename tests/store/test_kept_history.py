"""What was promoted, and where aliases pointed, is known after the model was deleted."""

from dataclasses import replace

import sqlalchemy as sa

from mltrail_server.domain.ids import ProjectId
from mltrail_server.services.context.deps import Deps
from mltrail_server.store import schema
from mltrail_server.store.promotion import promotions
from mltrail_server.store.promotion.promotions import Promotion
from mltrail_server.store.registry import aliases, models
from mltrail_server.store.registry.aliases import AliasMove

PROJECT = ProjectId(1)


def test_a_deleted_models_history_is_kept_under_its_name(deps: Deps) -> None:
    with deps.project(PROJECT).write() as tx:
        model_id = models.create(replace(tx, now=1), name="churn", description=None, user_name="me") or 0
        aliases.record(tx, model_id, AliasMove("champion", None, 1, 2, "me", 77))
        made = Promotion(
            model_id,
            pipeline_id=77,
            number=1,
            semver="1.0.0",
            pre_release=False,
            alias="champion",
            candidate_iid=5,
            trained_in=77,
            merge_request_iid=None,
            job_id=8,
            bump="first",
            reason="the first version",
            user_name="me",
            at_ms=2,
        )
        promotions.add(tx, made, attestation=None)
        models.delete(tx, model_id)
        again = models.create(replace(tx, now=3), name="churn", description=None, user_name="me") or 0
    with deps.project(PROJECT).read() as tx:
        # A new model of that name begins anew except for the numbers, and the old one's history is kept.
        assert promotions.taken(tx, again) == [(1, "1.0.0")]
        assert aliases.history(tx, again) == []
        for table in (schema.alias_event, schema.promotion):
            names = sa.select(table.c.model_name).where(table.c.project_id == PROJECT)
            assert list(tx.execute(names).scalars()) == ["churn"]
