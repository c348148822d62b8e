"""What the pages of datasets show: what a dataset is, what used it, and what changed since the one before."""

from dataclasses import dataclass

from mltrail_server.domain import dataset_schema
from mltrail_server.domain.dataset_schema import SchemaChange, SchemaColumn
from mltrail_server.domain.dataset_source import readable
from mltrail_server.domain.errors import not_found
from mltrail_server.services.context.deps import Scope
from mltrail_server.store.db.transaction import Transaction
from mltrail_server.store.pages import datasets as store
from mltrail_server.store.pages import tables
from mltrail_server.store.pages.datasets import DatasetRow, ListedDataset, RestingVersion, UsingRun
from mltrail_server.store.pages.tables import CandidateJob
from mltrail_server.store.registry import aliases as alias_store

PAGE = 50
MOST_RUNS = 100
MOST_VERSIONS = 50
MOST_DIGESTS = 20
LONGEST = 50_000
"""Characters of a schema or profile that are read."""
_MOST_ROWS = 60


@dataclass(frozen=True, slots=True)
class Digest:
    """One state of a dataset. `change` is what differs in its schema from the state before; None where that can't be
    told. `by` is the job that first used it.
    """

    digest: str
    profile: str | None
    columns: list[SchemaColumn] | None
    change: SchemaChange | None
    first_run: int | None
    by: CandidateJob | None


@dataclass(frozen=True, slots=True)
class DatasetView:
    """A dataset by name and digest. `names` are others with the same digest."""

    row: DatasetRow
    origin: str
    columns: list[SchemaColumn] | None
    names: list[str]
    runs: list[UsingRun]
    versions: list[RestingVersion]
    aliases: dict[tuple[int, int], tuple[str, ...]]  # by model and number of a version
    digests: list[Digest]  # of this name, the newest first
    more_digests: bool
    cut: bool  # schema or profile are longer than what was read


def listed(scope: Scope, *, find: str, before: int | None) -> tuple[list[ListedDataset], int | None]:
    """Return a page of datasets, and the number before which the next page starts."""
    with scope.project.search() as tx:
        found = store.listed(tx, find=find, before=before, limit=PAGE + 1)
    return found[:PAGE], found[PAGE - 1].id if len(found) > PAGE else None


def digest_of_id(scope: Scope, text: str) -> DatasetRow | None:
    """Return a dataset by its number in the project."""
    if not (text.isascii() and text.isdecimal() and len(text) < 18):
        return None
    with scope.project.read() as tx:
        return store.by_id(tx, int(text))


def get(scope: Scope, digest: str, name: str = "") -> DatasetView | None:
    """Return the dataset with a digest; of several names, this one or the newest. None if there is none.

    Raises NOT_FOUND for a name that has no such digest.
    """
    with scope.project.search() as tx:
        rows = store.of_digest(tx, digest, longest=LONGEST, limit=_MOST_ROWS)
        if not rows:
            return None
        names = list(dict.fromkeys(one.name for one in rows))
        name = name or names[0]
        own = [one for one in rows if one.name == name]
        if not own:
            raise not_found(f"This project has no dataset '{name}' with the digest '{digest}'.")
        ids = [one.id for one in own]
        runs = store.runs(tx, ids, limit=MOST_RUNS + 1)
        versions = store.versions(tx, ids, limit=MOST_VERSIONS + 1)
        aliases = alias_store.by_version(alias_store.of_models(tx, sorted({one.model_id for one in versions})))
        digests, more = _digests(tx, name)
    row = own[0]
    cut = any(text is not None and len(text) >= LONGEST for text in (row.schema, row.profile))
    origin = readable(row.source_type, row.source)
    others = [one for one in names if one != name]
    columns = dataset_schema.columns(row.schema)
    return DatasetView(row, origin, columns, others, runs, versions, aliases, digests, more, cut)


def _digests(tx: Transaction, name: str) -> tuple[list[Digest], bool]:
    """List the states of a dataset, the newest first, each with what changed since the one before."""
    rows = store.of_name(tx, name, longest=LONGEST, limit=_MOST_ROWS)
    states: dict[str, list[DatasetRow]] = {}
    for one in rows:
        states.setdefault(one.digest, []).append(one)
    # A digest is as old as its first row: another experiment may use an old state again.
    order = sorted(states.values(), key=lambda state: -state[-1].id)
    first = store.first_runs(tx, [one.id for state in order[:MOST_DIGESTS] for one in state])
    runs = [min((first[one.id] for one in state if one.id in first), default=None) for state in order[:MOST_DIGESTS]]
    made = {one.candidate_iid: one for one in tables.made_by(tx, [iid for iid in runs if iid is not None])}
    columns = [dataset_schema.columns(state[-1].schema) for state in order[: MOST_DIGESTS + 1]]
    found = [
        Digest(state[-1].digest, state[-1].profile, now, _change(before, now), run, made.get(run or 0))
        for state, now, before, run in zip(order, columns, [*columns[1:], None], runs, strict=False)
    ]
    return found, len(order) > len(found) or len(rows) == _MOST_ROWS


def _change(before: list[SchemaColumn] | None, now: list[SchemaColumn] | None) -> SchemaChange | None:
    return dataset_schema.change(before, now) if before is not None and now is not None else None
