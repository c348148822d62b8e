"""Alembic's entry: migrates over the connection that `store.db.migrate` gives it."""

from alembic import context

from mltrail_server.store.db.revisions import OURS
from mltrail_server.store.schema import METADATA

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    compare_type=True,
    include_name=lambda name, kind, _parents: kind != "table" or name not in OURS,
)
with context.begin_transaction():
    context.run_migrations()
