"""One admitted request: the caller, the project, and what was sent."""

from dataclasses import dataclass

from flask import Request

from mltrail_server.domain.identity import Actor
from mltrail_server.domain.ids import ProjectId
from mltrail_server.services.context.deps import Deps, Scope


@dataclass(slots=True)  # not frozen: each call makes one, and a frozen one would take three times as long
class Call:
    deps: Deps
    actor: Actor
    request: Request

    @property
    def project_id(self) -> ProjectId:
        return self.actor.project_id

    @property
    def pages(self) -> str:
        """The path of the project's pages, as a browser requests it."""
        return f"{self.deps.settings.root_path}/{self.actor.project_path}/-/ml"

    @property
    def sees_traces(self) -> bool:
        """Whether the caller may see traces, see `Access.READ_TRACES`; for what shows them beside other things."""
        return self.actor.sees_traces(self.deps.settings.lowest_role_for_traces)

    @property
    def scope(self) -> Scope:
        return Scope(self.deps, self.actor)
