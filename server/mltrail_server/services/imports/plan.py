"""Which part of a history goes into which project, and under which names."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from mltrail_server.domain import globs
from mltrail_server.domain.ids import ProjectId


class FilesMode(StrEnum):
    """What becomes of the source's files."""

    COPY = "copy"  # into this server's file store
    IN_PLACE = "in-place"  # they stay where they are, and clients read them there by themselves
    LEAVE = "leave"  # they are not imported


@dataclass(frozen=True, slots=True)
class Renames:
    """Names here by names at the source; anything not listed keeps its name."""

    experiments: Mapping[str, str] = field(default_factory=dict)
    models: Mapping[str, str] = field(default_factory=dict)
    aliases: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Plan:
    """One project's part. `experiments` and `models` are globs; without any, all are taken.

    `users` maps users at the source to users here.
    """

    project_id: ProjectId
    path: str
    experiments: Sequence[str] = ()
    models: Sequence[str] = ()
    files: FilesMode = FilesMode.COPY
    renames: Renames = field(default_factory=Renames)
    users: Mapping[str, str] = field(default_factory=dict)
    only_models: bool = False  # models are chosen, and no experiments
    only_experiments: bool = False  # experiments are chosen, and no models
    reread: bool = False  # also what seems to be as it was imported

    def takes_experiment(self, name: str) -> bool:
        if self.only_models:
            return False
        return not self.experiments or bool(globs.matching_any([name], self.experiments))

    def takes_model(self, name: str) -> bool:
        if self.only_experiments:
            return False
        return not self.models or bool(globs.matching_any([name], self.models))

    def user(self, name: str) -> str:
        """Return the name here of a user at the source."""
        return self.users.get(name, name)
