"""The page about archives lists every table and column: who reads one without mltrail has nothing else."""

from scripts import archive_page

from mltrail_server.store.archives import rows


def test_the_page_is_current() -> None:
    assert archive_page.page() == archive_page.PAGE.read_text(), "run: python -m scripts.archive_page"


def test_it_has_every_column_and_the_schemas_own_words() -> None:
    text = archive_page.PAGE.read_text()
    for table in rows.ARCHIVED:
        _, found, after = text.partition(f"### `{table.name}`\n")
        assert found, table.name
        section = after.partition("\n### ")[0]
        assert [line.split("`")[1] for line in section.splitlines() if line.startswith("| `")] == [
            column.name for column in rows.columns(table)
        ]
    assert "the MLflow run id" in text
    assert "The last number given out, per project and kind of thing." in text


def test_tables_that_no_archive_has_are_named_with_the_reason() -> None:
    text = archive_page.PAGE.read_text()
    for name in rows.LEFT_OUT:
        assert f"`{name}`" in text
        assert f"### `{name}`" not in text
