"""What a project has logged to GitLab itself: experiments, runs, models, and the packages that hold their files."""

import itertools
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field

Value = tuple[str, float, int, int]
"""A value of a metric: key, value, time in milliseconds, step."""

STARTED_MS = 1_760_000_000_000
MADE_SECONDS = 1_760_000_100


@dataclass
class Package:
    """`digests` are what GitLab says of files; those that it does not have are right."""

    id: int
    kind: str  # "ml_model" or "generic"
    name: str
    version: str
    files: dict[str, bytes] = field(default_factory=dict)
    digests: dict[str, str | None] = field(default_factory=dict)


@dataclass
class Run:
    """GitLab calls it a candidate."""

    iid: int
    eid: str
    experiment_iid: int
    name: str
    user_id: int
    status: str = "FINISHED"
    started_ms: int = STARTED_MS
    ended_ms: int | None = STARTED_MS + 60_000
    params: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    values: list[Value] = field(default_factory=list)
    package: Package | None = None
    version_id: int | None = None


@dataclass
class Experiment:
    iid: int
    name: str
    tags: dict[str, str] = field(default_factory=dict)


@dataclass
class Version:
    """`id` is unique in the whole GitLab."""

    id: int
    semver: str
    run: Run
    description: str = ""
    tags: dict[str, str] = field(default_factory=dict)


@dataclass
class Model:
    id: int
    name: str
    user_id: int
    description: str = ""
    tags: dict[str, str] = field(default_factory=dict)
    versions: list[Version] = field(default_factory=list)


class Ml:
    """A project's experiments and models. Experiments, runs and packages are numbered from 1 on."""

    def __init__(self) -> None:
        self.experiments: dict[int, Experiment] = {}
        self.runs: dict[int, Run] = {}
        self.models: dict[str, Model] = {}
        self.packages: dict[int, Package] = {}
        self.lists_experiments_of_models = True
        self._versions = itertools.count(48_211, 7)  # other projects make versions, too

    def experiment(self, name: str, **tags: str) -> Experiment:
        made = Experiment(len(self.experiments) + 1, name, tags)
        self.experiments[made.iid] = made
        return made

    def experiment_named(self, name: str) -> Experiment | None:
        return next((one for one in self.experiments.values() if one.name == name), None)

    def run(self, experiment: Experiment, name: str = "fit", *, user_id: int = 0, **tags: str) -> Run:
        iid = len(self.runs) + 1
        run = Run(iid, str(uuid.UUID(int=0xE1D << 64 | iid, version=4)), experiment.iid, name, user_id, tags=tags)
        run.started_ms += iid
        self.runs[iid] = run
        return run

    def model(self, name: str, *, user_id: int = 0, description: str = "", **tags: str) -> Model:
        self.experiment(f"[model]{name}")
        made = self.models[name] = Model(len(self.models) + 1, name, user_id, description, tags)
        return made

    def version(self, model: Model, semver: str, *, of: Run | None = None, description: str = "") -> Version:
        """Create a version: of a run, whose package becomes its own, or with a run of its own."""
        experiment = self.experiment_named(f"[model]{model.name}")
        assert experiment is not None
        run = of or self.run(experiment, "brave-yak-12")
        run.package = run.package or self._package("ml_model", model.name, semver)
        run.package.name, run.package.version = model.name, semver
        made = Version(next(self._versions), semver, run, description, {"gitlab.version": semver})
        run.version_id = made.id
        model.versions.append(made)
        return made

    def upload(self, run: Run, path: str, content: bytes, *, generic: bool = False) -> Package:
        """Add a file to a run's package; to a generic one, as GitLab did before 17."""
        if run.package is None:
            experiment = self.experiments[run.experiment_iid]
            name = experiment.name.removeprefix("[model]")
            if generic or name == experiment.name:
                name = f"ml_experiment_{experiment.iid}"
            number = str(run.iid) if generic else f"candidate_{run.iid}"
            run.package = self._package("generic" if generic else "ml_model", name, number)
        run.package.files[path] = content
        return run.package

    def delete(self, model: Model, version: Version) -> None:
        """Delete a version with its run and its files, as GitLab does."""
        model.versions.remove(version)
        del self.runs[version.run.iid]
        assert version.run.package is not None
        del self.packages[version.run.package.id]

    def versions(self) -> Iterator[Version]:
        for model in self.models.values():
            yield from model.versions

    def packaged(self, folder: str) -> Package | None:
        """Find a package by what the URLs of files call it: a version's number, or `candidate:` and a run's."""
        if folder.startswith("candidate:"):
            run = next((one for one in self.runs.values() if folder == f"candidate:{one.iid}"), None)
            own = run is not None and run.package is not None and run.package.version == f"candidate_{run.iid}"
            return run.package if run is not None and own else None
        return next((one.run.package for one in self.versions() if str(one.id) == folder), None)

    def _package(self, kind: str, name: str, version: str) -> Package:
        made = Package(max(self.packages, default=0) + 1, kind, name, version)
        self.packages[made.id] = made
        return made
