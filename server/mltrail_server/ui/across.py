"""Fill a template for somebody who is looking at several projects: it is in no project's frame."""

from dataclasses import dataclass

from mltrail_server.services.context.deps import Deps

from .render import filled


@dataclass(frozen=True, slots=True)
class Across:
    deps: Deps

    def page(self, template: str, **values: object) -> str:
        settings = self.deps.settings
        gitlab = None if settings.local_mode else settings.gitlab_url.rstrip("/")
        return filled(template, signed_in=True, local=settings.local_mode, gitlab_root=gitlab, **values)

    def pages(self, path: str) -> str:
        """Return the path of a project's pages, as a browser requests it."""
        return f"{self.deps.settings.root_path}/{path}/-/ml"
