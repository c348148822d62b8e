"""Count both sides: what the source has, as it was read or is remembered, and what is here, as the tables say."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from mltrail_server.domain.transfer import Counts, Entity, Findings, Loss
from mltrail_server.store.db.project import Project
from mltrail_server.store.db.transaction import Transaction
from mltrail_server.store.imports import counts

_AT_ONCE = 1000
_OF_FOLDER = (Entity.FILE, Entity.BYTES)


def _of_runs(tx: Transaction, ids: Sequence[str]) -> counts.Of:
    return counts.of_runs(tx, [int(one) for one in ids])


def _nothing(_tx: Transaction, _ids: Sequence[str]) -> counts.Of:
    """Return nothing: versions are counted with their model, and here only their files are."""
    return {}


_COUNT: Mapping[Entity, Callable[[Transaction, Sequence[str]], counts.Of]] = {
    Entity.EXPERIMENT: counts.of_experiments,
    Entity.RUN: _of_runs,
    Entity.LOGGED_MODEL: counts.of_logged_models,
    Entity.TRACE: counts.of_traces,
    Entity.SCORER: counts.of_scorers,
    Entity.EVALUATION_DATASET: counts.of_evaluation_datasets,
    Entity.MODEL: counts.of_models,
    Entity.VERSION: _nothing,
}


@dataclass(frozen=True, slots=True)
class _Noted:
    here: str
    owner: str
    there: Mapping[Entity, int]
    folder: str | None
    explained: bool


@dataclass(slots=True)
class Tally:
    """`source` is what the source has, `here` how much of that is here, and `more` what was added here to the same
    things since.
    """

    project: Project
    findings: Findings
    source: Counts = field(default_factory=Counts)
    here: Counts = field(default_factory=Counts)
    more: Counts = field(default_factory=Counts)
    _noted: dict[Entity, list[_Noted]] = field(default_factory=dict)

    def note(
        self,
        kind: Entity,
        here: str | None,
        owner: str,
        there: Mapping[Entity, int],
        *,
        folder: str | None = None,
        explained: bool = False,
    ) -> None:
        """Note what the source has of a thing, and under which number, id or name it is here; None if it is not.
        `folder` has its files. `explained` if findings already say what of it is not here.
        """
        for entity, count in there.items():
            self.source.add(entity, count)
        if here is None:
            return
        waiting = self._noted.setdefault(kind, [])
        waiting.append(_Noted(here, owner, there, folder, explained))
        if len(waiting) >= _AT_ONCE:
            self._count(kind)

    def end(self) -> None:
        """Count what was noted and not yet counted. Only then are the counts complete."""
        for kind in list(self._noted):
            self._count(kind)

    def _count(self, kind: Entity) -> None:
        noted = self._noted.pop(kind, [])
        with self.project.read() as tx:
            found = _COUNT[kind](tx, sorted({one.here for one in noted}))
            for one in noted:
                there_is = dict(found.get(one.here, {}))
                if one.folder is not None and one.there.get(Entity.FILE):
                    there_is |= counts.of_folder(tx, one.folder)
                self._compare(one, there_is)

    def _compare(self, noted: _Noted, here: Mapping[Entity, int]) -> None:
        for entity in {**noted.there, **here}:
            there, count = noted.there.get(entity, 0), here.get(entity, 0)
            self.here.add(entity, min(there, count))
            self.more.add(entity, max(0, count - there))
            if count < there and not noted.explained:
                self.findings.add(
                    Loss.CHANGED,
                    entity,
                    noted.owner,
                    f"the source has {there:,} {entity.value} of it, but here there are {count:,}: something was "
                    "removed here since the import",
                )
