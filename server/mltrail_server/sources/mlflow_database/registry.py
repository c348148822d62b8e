"""Registered models and prompts of an MLflow database, and their versions."""

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa

from mltrail_server.domain.transfer import ModelRecord, VersionRecord

from .experiments import within_workspace
from .opening import Reading, Row
from .tables import Tables

_PAGE = 200
_DELETED = "Deleted_Internal"  # the stage of versions that were deleted: MLflow keeps their rows, without contents
_LOGGED_MODEL = "models:/m-"


class Registry:
    def __init__(self, reading: Reading, tables: Tables, workspace: str) -> None:
        self._reading = reading
        self._tables = tables
        self._workspace = workspace

    def models(self) -> Iterator[ModelRecord]:
        """Return models and prompts by name."""
        wanted = ("name", "creation_time", "last_updated_time", "description")
        name = self._tables.column("registered_models", "name")
        statement = self._select("registered_models", *wanted).where(name > sa.bindparam("after"))
        after = ""
        while page := self._reading.rows(statement.order_by(name).limit(_PAGE), {"after": after}):
            after = page[-1].name
            names = [one.name for one in page]
            tags, aliases, last = self._tags(names), self._aliases(names), self._last_numbers(names)
            for one in page:
                yield ModelRecord(
                    name=one.name,
                    created_ms=one.creation_time,
                    updated_ms=one.last_updated_time,
                    description=one.description,
                    tags=tags[one.name],
                    aliases=aliases[one.name],
                    last_number=last.get(one.name),
                )

    def versions(self, model: ModelRecord) -> Iterator[VersionRecord]:
        """Return a model's versions by number."""
        wanted = (
            "version",
            "creation_time",
            "last_updated_time",
            "description",
            "user_id",
            "current_stage",
            "source",
            "run_id",
            "run_link",
            "status",
            "status_message",
            "storage_location",
        )
        name, number = self._tables.column("model_versions", "name"), self._tables.column("model_versions", "version")
        stage = self._tables.column("model_versions", "current_stage")
        statement = self._select("model_versions", *wanted).where(
            name == model.name, number > sa.bindparam("after"), sa.func.coalesce(stage, "") != _DELETED
        )
        after = -1
        while page := self._reading.rows(statement.order_by(number).limit(_PAGE), {"after": after}):
            after = page[-1].version
            tags = self._version_tags(model.name, [one.version for one in page])
            for one in page:
                yield _version(model.name, one, tags[one.version])

    def _select(self, table: str, *columns: str) -> "sa.Select[Any]":
        statement = sa.select(*self._tables.columns(table, *columns))
        return within_workspace(statement, self._tables, table, self._workspace)

    def _tags(self, names: list[str]) -> dict[str, dict[str, str]]:
        found: dict[str, dict[str, str]] = defaultdict(dict)
        tag = self._tables.table("registered_model_tags").c
        statement = self._select("registered_model_tags", "name", "key", "value").where(tag.name.in_(names))
        for name, key, value in self._reading.rows(statement.order_by(tag.key)):
            found[name][key] = value or ""
        return found

    def _aliases(self, names: list[str]) -> dict[str, dict[str, int]]:
        found: dict[str, dict[str, int]] = defaultdict(dict)
        if not self._tables.has("registered_model_aliases"):
            return found
        alias = self._tables.table("registered_model_aliases").c
        statement = self._select("registered_model_aliases", "name", "alias", "version").where(alias.name.in_(names))
        for name, its_alias, version in self._reading.rows(statement.order_by(alias.alias)):
            found[name][its_alias] = int(version)
        return found

    def _last_numbers(self, names: list[str]) -> dict[str, int]:
        """Return the highest numbers of versions, deleted ones included: their rows are still there."""
        version = self._tables.table("model_versions").c
        statement = sa.select(version.name, sa.func.max(version.version)).where(version.name.in_(names))
        statement = within_workspace(statement, self._tables, "model_versions", self._workspace)
        return dict(self._reading.rows(statement.group_by(version.name)))

    def _version_tags(self, name: str, numbers: list[int]) -> dict[int, dict[str, str]]:
        found: dict[int, dict[str, str]] = defaultdict(dict)
        tag = self._tables.table("model_version_tags").c
        statement = self._select("model_version_tags", "version", "key", "value")
        statement = statement.where(tag.name == name, tag.version.in_(numbers)).order_by(tag.key)
        for number, key, value in self._reading.rows(statement):
            found[number][key] = value or ""
        return found


def _version(model: str, row: Row, tags: dict[str, str]) -> VersionRecord:
    source = row.source or ""
    logged_model = source.removeprefix("models:/").split("/")[0] if source.startswith(_LOGGED_MODEL) else None
    return VersionRecord(
        model=model,
        number=row.version,
        created_ms=row.creation_time,
        updated_ms=row.last_updated_time,
        source=source,
        storage_location=row.storage_location or None,
        run_id=row.run_id or None,
        run_link=row.run_link or None,
        logged_model_id=logged_model,
        description=row.description,
        user=row.user_id or "",
        stage=row.current_stage or "None",
        status=row.status or "READY",
        status_message=row.status_message or None,
        tags=tags,
    )
