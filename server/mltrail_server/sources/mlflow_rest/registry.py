"""Registered models, prompts and their versions."""

from collections.abc import Iterator
from dataclasses import replace

from mltrail_server.domain.model import PROMPT_TAG
from mltrail_server.domain.transfer import Entity, ModelRecord, VersionRecord
from mltrail_server.sources.http import LostError
from mltrail_server.sources.reading import Fetched, is_absent, page, said

from . import records
from .server import API, Server

_ARE_PROMPTS = f"tags.`{PROMPT_TAG}` = 'true'"
_PROMPTS_SINCE = (2, 21)


class Registry:
    """MLflow's searches leave out prompts and their versions unless a filter asks for them."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def models(self) -> Iterator[ModelRecord]:
        known: set[str] = set()
        for chosen in ("", *((_ARE_PROMPTS,) if self._server.version >= _PROMPTS_SINCE else ())):
            try:
                for model in self._models(chosen):
                    if model.name not in known:
                        known.add(model.name)
                        yield model
            except LostError as error:
                if not is_absent(error):
                    raise
                self._server.lacks(Entity.PROMPT if chosen else Entity.MODEL)

    def _models(self, chosen: str) -> Iterator[ModelRecord]:
        def ask(token: str, size: int) -> Fetched:
            query = said({"filter": chosen, "max_results": size, "page_token": token})
            return page(self._server.rest.get(f"{API}/registered-models/search", query), "registered_models")

        entity = Entity.PROMPT if chosen else Entity.MODEL
        yield from self._server.listed(ask, records.model, entity, "server", (100, 10, 1))

    def versions(self, model: ModelRecord) -> Iterator[VersionRecord]:
        """Read all of a model's versions, and sort them: older servers can't."""
        is_prompt = model.tags.get(PROMPT_TAG, "").lower() == "true"
        chosen = " AND ".join([*_named(model.name), *([_ARE_PROMPTS] if is_prompt else [])])

        def ask(token: str, size: int) -> Fetched:
            query = said({"filter": chosen, "max_results": size, "page_token": token})
            return page(self._server.rest.get(f"{API}/model-versions/search", query), "model_versions")

        found = self._server.listed(ask, records.version, Entity.VERSION, f"model {model.name}", (200, 20, 1))
        for version in sorted((one for one in found if one.model == model.name), key=lambda one: one.number):
            yield self._located(version)

    def _located(self, version: VersionRecord) -> VersionRecord:
        """Return the version with the place of its files: its source or, if that is another version or a logged model,
        what the server resolves it to.
        """
        if not version.source.startswith("models:"):
            return replace(version, storage_location=version.source)
        query = {"name": version.model, "version": str(version.number)}
        try:
            got = self._server.rest.get(f"{API}/model-versions/get-download-uri", query)
        except LostError:
            return version  # if its files are missing, listing them finds that
        return replace(version, storage_location=str(got.get("artifact_uri") or "") or None)


def _named(name: str) -> list[str]:
    """Return the condition for a name. MLflow's filters have no escapes, so a name with both kinds of quotes can't be
    expressed.
    """
    quote = next((quote for quote in "'\"" if quote not in name), "")
    return [f"name = {quote}{name}{quote}"] if quote else []
