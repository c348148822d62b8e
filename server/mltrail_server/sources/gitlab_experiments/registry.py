"""Models and their versions.

A search returns each model with all its versions, as `latest_versions`. A version's `version` is a number that is
unique in the whole GitLab, and its only alias is its semantic version. Times are in seconds here.
"""

from collections.abc import Iterator, Sequence

from mltrail_server.domain.transfer import Entity, ModelRecord, VersionRecord
from mltrail_server.sources.http import LostError
from mltrail_server.sources.mlflow_rest.records import pairs
from mltrail_server.sources.reading import Fetched, Json, is_absent, page, said, whole

from .project import Project


class Registry:
    """Reads all models at once, and remembers them: versions come with them, and runs of versions need their names."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._models: list[ModelRecord] | None = None
        self._versions: dict[str, list[VersionRecord]] = {}
        self._named: dict[int, tuple[str, str]] = {}

    def models(self) -> Sequence[ModelRecord]:
        if self._models is None:
            self._models = list(self._read())
        return self._models

    def versions(self, model: ModelRecord) -> Iterator[VersionRecord]:
        yield from self._versions.get(model.name, ())

    def named(self, number: int) -> tuple[str, str]:
        """Return the model and semantic version that a version's number stands for; empty texts if this project has no
        such version.
        """
        self.models()
        return self._named.get(number, ("", ""))

    def _read(self) -> Iterator[ModelRecord]:
        def ask(token: str, size: int) -> Fetched:
            query = said({"max_results": size, "order_by": "name ASC", "page_token": token})
            path = f"{self._project.mlflow}/registered-models/search"
            return page(self._project.gitlab.get(path, query), "registered_models")

        try:
            yield from self._project.listed(ask, self._model, Entity.MODEL, "project", (100, 10, 1))
        except LostError as error:
            if not is_absent(error):
                raise
            self._project.lacks(Entity.MODEL)

    def _model(self, got: Json) -> ModelRecord:
        name = str(got["name"])
        found = [one for one in got.get("latest_versions") or () if one]  # a model without any has [null]
        versions = sorted((self._version(name, one) for one in found), key=lambda one: one.number)
        self._versions[name] = versions
        self._named |= {one.number: (name, one.semver or "") for one in versions}
        if versions:
            text = "versions have the numbers that GitLab's MLflow API gives them; semantic versions are kept"
            self._project.note(Entity.VERSION, "project", text)
        return ModelRecord(
            name=name,
            created_ms=_milliseconds(got.get("creation_timestamp")),
            updated_ms=_milliseconds(got.get("last_updated_timestamp")),
            description=got.get("description") or None,
            user=self._project.user_name(str(got.get("user_id") or "")),
            tags=pairs(got.get("tags")),
        )

    def _version(self, model: str, got: Json) -> VersionRecord:
        number = int(got["version"])
        run_id = str(got.get("run_id") or "") or None
        return VersionRecord(
            model=model,
            number=number,
            created_ms=_milliseconds(got.get("creation_timestamp")),
            updated_ms=_milliseconds(got.get("last_updated_timestamp")),
            source=f"runs:/{run_id}" if run_id else str(got.get("source") or ""),
            storage_location=f"mlflow-artifacts:/{number}",
            run_id=run_id,
            run_link=str(got.get("source") or "") or None,
            description=got.get("description") or None,
            user=self._project.user_name(str(got.get("user_id") or "")),
            semver=_semver(got),
            tags=pairs(got.get("tags")),
        )


def _semver(got: Json) -> str | None:
    """Return the semantic version, which is the only alias: a text, or an object in some versions."""
    for one in got.get("aliases") or ():
        return str(one["alias"]) if isinstance(one, dict) else str(one)
    return None


def _milliseconds(seconds: object) -> int | None:
    found = whole(seconds)
    return None if found is None else 1000 * found
