"""The rows of all tables come out of one database, as lines, and into another, and are the same."""

import math
from pathlib import Path

import pytest
import sqlalchemy as sa

from mltrail_server.domain.errors import MltrailError
from mltrail_server.domain.ids import ProjectId
from mltrail_server.services.context.deps import Deps
from mltrail_server.store import schema
from mltrail_server.store.archives import rows, spelling
from mltrail_server.store.db import migrate
from mltrail_server.store.db.database import Database
from tests.rows import fill, made

ONE, OTHER = ProjectId(1), ProjectId(2)


def test_every_table_is_archived_or_left_out_for_a_reason() -> None:
    assert {table.name for table in rows.ARCHIVED} | set(rows.LEFT_OUT) == set(schema.METADATA.tables)
    assert not {table.name for table in rows.ARCHIVED} & set(rows.LEFT_OUT)


def test_tables_come_after_those_that_they_refer_to() -> None:
    seen = set()
    for table in rows.TABLES:
        assert {key.column.table.name for key in table.foreign_keys} <= seen
        seen.add(table.name)


def test_every_row_of_every_table_moves_to_another_database(deps: Deps, tmp_path: Path) -> None:
    """From either database to SQLite and back to a new project of it, as lines, in batches of three."""
    other = Database(f"sqlite:///{tmp_path / 'other.db'}")
    migrate.create(other)
    with deps.db.write() as connection:
        fill(connection, ONE)
        fill(connection, OTHER)
    with deps.db.read() as source, other.write() as target:
        for table in rows.ARCHIVED:
            read = spelling.reader(table)
            for batch in rows.read(source, table, only=ONE, batch=3):
                rows.write(target, table, [read(line) for line in spelling.lines(table, batch).splitlines()])
    with other.read() as source, deps.db.write() as target:
        for table in rows.ARCHIVED:
            found = [row for batch in rows.read(source, table) for row in batch]
            assert sorted(found, key=repr) == sorted(made(table, ONE), key=repr)
            assert rows.count(source, table, only=ONE) == rows.count(source, table) == len(found)
            written = rows.write_all(target, table, ((3, *row[1:]) for row in found))
            assert written == rows.count(target, table, only=ProjectId(3)) == len(found)
    other.dispose()


def test_a_text_that_postgresql_cannot_hold_is_named(deps: Deps) -> None:
    if deps.db.is_sqlite:
        return
    problem = r"The row \(1, 1\) of the table experiment has a NUL character in name"
    with pytest.raises(MltrailError, match=problem), deps.db.write() as connection:
        rows.write(connection, schema.experiment, [(1, 1, "a\0b", 1, 1, 1, None)])


def test_a_row_that_is_there_already_is_refused(deps: Deps) -> None:
    with deps.db.write() as connection:
        rows.write(connection, schema.counter, [(1, "candidate", 7)])
    with (
        pytest.raises(MltrailError, match="A row of the table counter can't be stored"),
        deps.db.write() as connection,
    ):
        rows.write(connection, schema.counter, [(1, "other", 7), (1, "candidate", 7)])
    with deps.db.read() as connection:
        assert list(rows.read(connection, schema.counter)) == [[(1, "candidate", 7)]]


class TestSpelling:
    def test_numbers_that_json_has_no_word_for(self) -> None:
        table = schema.latest_metric
        given = [
            (1, 1, number, value, False, 0, 0, 0) for number, value in enumerate((math.inf, -math.inf, -0.0, 1e23))
        ]
        lines = spelling.lines(table, given).splitlines()
        assert lines[:2] == [b'[1,1,0,"Infinity",false,0,0,0]', b'[1,1,1,"-Infinity",false,0,0,0]']
        back = [spelling.reader(table)(line) for line in lines]
        assert repr(back) == repr(given)
        (line,) = spelling.lines(table, [(1, 1, 1, math.nan, True, 0, 0, None)]).splitlines()
        assert line == b'[1,1,1,"NaN",true,0,0,null]'
        assert math.isnan(spelling.reader(table)(line)[3])

    @pytest.mark.parametrize(
        "line",
        [
            b"",
            b"[1,1,1,0.5,false,0,0]",
            b"[1,1,1,0.5,false,0,0,0,0]",
            b'[1,1,1,0.5,false,0,"0",0]',
            b"[1,1,1,0.5,0,0,0,0]",
            b"[1,1,1,null,false,0,0,0]",
            b'[1,1,1,"nan",false,0,0,0]',
            b"[1,1,1,0.5,false,0,9223372036854775808,0]",
            b"[1,1,1,1e999,false,0,0,0]",
            b'{"project_id":1}',
            b"[" * 100_000,
        ],
        ids=lambda line: line[:40].decode(),
    )
    def test_what_is_not_a_row_is_refused(self, line: bytes) -> None:
        with pytest.raises(MltrailError, match="A line of the table latest_metric is not a row of it"):
            spelling.reader(schema.latest_metric)(line)

    def test_every_column_can_be_spelled(self) -> None:
        for table in rows.TABLES:
            if "project_id" in table.c:
                given = made(table, 1)
                lines = spelling.lines(table, given).splitlines()
                assert [spelling.reader(table)(line) for line in lines] == given

    def test_a_type_that_nobody_has_thought_of_is_noticed(self) -> None:
        table = sa.Table("new", sa.MetaData(), sa.Column("made", sa.DateTime))
        with pytest.raises(TypeError, match="can't spell"):
            spelling.reader(table)


def test_a_snapshot_stays_the_same_while_others_write(deps: Deps) -> None:
    with deps.db.snapshot() as reading:
        assert rows.count(reading, schema.counter, only=ONE) == 0
        with deps.db.write() as writing:
            rows.write(writing, schema.counter, [(ONE, "candidate", 1)])
        assert rows.count(reading, schema.counter, only=ONE) == 0
    with deps.db.read() as reading:
        assert rows.count(reading, schema.counter, only=ONE) == 1
