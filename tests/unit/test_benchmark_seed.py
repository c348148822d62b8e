"""The benchmarks fill mltrail's tables by themselves: a column that is renamed must not be found missing only there."""

import random

from benchmarks.peers.seed import _Mltrail

from mltrail_server.store import schema


def test_the_benchmark_fills_columns_that_exist_and_all_that_must_be_given() -> None:
    rows = _Mltrail(random.Random(7))
    filled = [rows.experiment(1), *rows.runs(1, range(1)), *rows.points(1, 10), *rows.history(""), *rows.end()]

    for table, columns, values in filled:
        named = columns.split(", ")
        known = {column.name: column for column in schema.METADATA.tables[table].columns}

        assert set(named) <= set(known), table
        assert {len(row) for row in values} == {len(named)}, table
        missing = set(known) - set(named)
        assert not [name for name in missing if not known[name].nullable and known[name].server_default is None], table
