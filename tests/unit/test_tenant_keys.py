"""The schema spreads over nodes by `project_id` (docs/explanation/scale.md): Citus wants it in every key.

That every statement names its project is held by tests/tenancy.py, behind every other test.
"""

import pytest
import sqlalchemy as sa

from mltrail_server.store import schema
from tests.citus import LOCAL

TABLES = sorted(schema.METADATA.tables)


@pytest.mark.parametrize("name", [name for name in TABLES if name not in LOCAL])
class TestDistributed:
    def test_the_project_is_in_every_unique_key(self, name: str) -> None:
        table = schema.METADATA.tables[name]
        keys = [constraint for constraint in table.constraints if isinstance(constraint, sa.UniqueConstraint)]
        keys += [index for index in table.indexes if index.unique]
        for key in (table.primary_key, *keys):
            assert next(iter(key.columns)).name == "project_id", key

    def test_what_it_refers_to_is_on_the_same_node(self, name: str) -> None:
        for key in schema.METADATA.tables[name].foreign_key_constraints:
            pairs = [(element.parent.name, element.column.name) for element in key.elements]
            assert pairs[0] == ("project_id", "project_id"), key
            assert key.referred_table.name not in LOCAL

    def test_every_index_is_of_one_project(self, name: str) -> None:
        for index in schema.METADATA.tables[name].indexes:
            assert index.columns[0].name == "project_id", index

    def test_no_column_is_numbered_by_the_database(self, name: str) -> None:
        """A sequence would be one node's; we number per project, in `counter`."""
        for column in schema.METADATA.tables[name].columns:
            assert column.autoincrement is not True
            assert not isinstance(column.server_default, (sa.Sequence, sa.Identity))


def test_the_tables_of_one_node_exist() -> None:
    assert set(LOCAL) <= set(TABLES)
