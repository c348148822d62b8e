"""Begins a run, logs a batch or ends a run, each in one round trip: the call waits for PostgreSQL only once, and the
commit comes with the answer. Ending a run takes two statements, which are sent together; each of the others takes one.

Each checks that this is the usual case, which needs nothing else, and writes nothing if it is not. Then the caller goes
the general way, in a transaction, which says what is wrong.

A statement sees what had been committed when it began, which may be before it waited for a lock. Why its checks are
right all the same:

- The candidate's row is locked first, as by `candidates.get_to_write`. If another transaction has changed or deleted
  the row meanwhile, PostgreSQL checks the row's new state: whether it is active, promoted, amended or imported.
- Whether jobs vouch for a candidate is settled when it is created: nobody adds a verified tie to a candidate without
  one, and ties go only with their candidate.
- A row that another call has stored is met by ON CONFLICT in its newest state. A parameter that has another value fails
  the statement: it would become null, which its column refuses.
- When a run ends, the second statement reads its jobs, after the first has locked the run's row.
- Runs may begin in an experiment while another transaction deletes it. So they may in the general way, which locks the
  experiment as little as this one does.

The order of locks is that of the general way, too: the counter or the candidate, then the rest.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cache

import sqlalchemy as sa

from mltrail_server.domain.candidate import Point, Stage, Status
from mltrail_server.domain.identity import VerifiedClaims
from mltrail_server.store.ci import due
from mltrail_server.store.ci.jobs import JobPart
from mltrail_server.store.db import failures
from mltrail_server.store.db.statements import Statement
from mltrail_server.store.db.transaction import Transaction

from .candidates import BY_EID_TO_WRITE, COLUMNS, Candidate, candidate_of, running
from .metrics import KEEP_LATEST, array_of, order_of, stored

_TIES = (
    "EXISTS (SELECT 1 FROM candidate_job AS tie"
    " WHERE tie.project_id = {run}.project_id AND tie.candidate_iid = {run}.iid"
)


class Vouching(Enum):
    """Whose candidates a caller writes to as their own: an SQL condition on the row `run`."""

    ANYBODY = "true"
    """Of a server without jobs."""
    NOBODY = f"NOT {_TIES} AND tie.verified)"
    """Those that no job's token vouches for."""
    JOB = f"{_TIES} AND tie.job_id = CAST(:job_id AS BIGINT) AND tie.verified)"
    """The caller's, which is a job."""

    def of(self, run: str) -> str:
        """Return the condition in SQL, for both databases; `run` is the statement's name for the candidate."""
        return self.value.format(run=run)


_PROJECT = "CAST(:project_id AS BIGINT)"
_USUAL = (
    f"own.project_id = {_PROJECT} AND own.eid = CAST(:eid AS VARCHAR) AND own.stage = {Stage.ACTIVE:d}"
    " AND NOT own.promoted AND own.amendment_iid IS NULL AND own.origin_id IS NULL AND {vouching}"
)
_WHO = f"WITH who AS (SELECT own.iid FROM candidate AS own WHERE {_USUAL} FOR NO KEY UPDATE OF own)"  # noqa: S608
_POINT = "key_id, step, timestamp_ms, value, is_nan"
_METRICS = (
    f", sent AS (SELECT {_PROJECT} AS project_id, who.iid AS candidate_iid, {_POINT} FROM who,"  # noqa: S608
    " unnest(CAST(:keys AS BIGINT[]), CAST(:steps AS BIGINT[]), CAST(:times AS BIGINT[]),"
    f" CAST(:numbers AS DOUBLE PRECISION[]), CAST(:nans AS BOOLEAN[])) AS point ({_POINT}))"
    f", history AS (INSERT INTO metric (project_id, candidate_iid, {_POINT})"
    f" SELECT project_id, candidate_iid, {_POINT} FROM sent ON CONFLICT DO NOTHING RETURNING key_id)"
    f", latest AS ({KEEP_LATEST})"
)
_PAIRS = (
    "SELECT {project}, {owner}.iid, pair.key, pair.value FROM {owner},"
    " unnest(CAST(:{name}_keys AS TEXT[]), CAST(:{name}_values AS TEXT[])) AS pair (key, value)"
)
_ON_CONFLICT = " ON CONFLICT (project_id, candidate_iid, key) DO UPDATE SET value = "
_PARAMS = (
    ", params AS (INSERT INTO param (project_id, candidate_iid, key, value) "
    + _PAIRS.format(project=_PROJECT, owner="who", name="param")
    + _ON_CONFLICT
    + "NULL WHERE param.value <> excluded.value)"
)
_TAGS = (
    ", tags AS (INSERT INTO candidate_tag (project_id, candidate_iid, key, value) "
    + _PAIRS.format(project=_PROJECT, owner="who", name="tag")
    + _ON_CONFLICT
    + "excluded.value)"
)


@cache
def _logging(vouching: Vouching, *parts: str) -> Statement:
    sql = "".join([_WHO.format(vouching=vouching.of("own")), *parts, " SELECT iid FROM who"])
    return Statement(sa.text(sql), name="tracking.at_once.log")


@dataclass(frozen=True, slots=True)
class Batch:
    """What is logged together; `numbers` are those of the metrics' names."""

    points: Sequence[Point]
    params: Mapping[str, str]
    tags: Mapping[str, str]
    numbers: Mapping[str, int]


def log(tx: Transaction, eid: str, batch: Batch, *, vouching: Vouching, job_id: int | None = None) -> bool:
    """Log a batch, and return whether this was the usual case: nothing was written if it was not.

    A parameter that has another value is not usual. Takes a transaction of one statement, see `Project.at_once`.
    """
    given: dict[str, str | None] = {"eid": eid}
    parts = []
    if batch.points:
        names, values, times, steps = zip(*batch.points, strict=True)
        kept, nans = zip(*map(stored, values), strict=True)
        parts.append(_METRICS)
        keys = [batch.numbers[name] for name in names]
        given |= {"keys": array_of(keys), "steps": array_of(steps), "times": array_of(times)}
        given |= order_of(keys, steps, times)
        given |= {"numbers": array_of(kept), "nans": array_of(nans)}
    for part, name, pairs in ((_PARAMS, "param", batch.params), (_TAGS, "tag", batch.tags)):
        if pairs:
            parts.append(part)
            given |= {f"{name}_keys": _texts(pairs), f"{name}_values": _texts(pairs.values())}
    if vouching is Vouching.JOB:
        given["job_id"] = str(job_id)
    try:
        return tx.one(_logging(vouching, *parts), **given) is not None
    except Exception as error:
        if failures.is_null(error):
            return False
        raise


@dataclass(frozen=True, slots=True)
class Tie:
    """The job that creates a run, the pipeline that the run counts to, and when the worker is to look at that; None if
    it is going to anyway. `known`: the job and its pipeline have their rows.
    """

    job: VerifiedClaims
    counts_to: int
    known: bool
    look_at_ms: int | None


_CREATE = (
    f"WITH place AS (SELECT artifact_location FROM experiment WHERE project_id = {_PROJECT}"  # noqa: S608
    f" AND iid = CAST(:experiment_iid AS BIGINT) AND stage = {Stage.ACTIVE:d})"
    f", numbered AS (INSERT INTO counter (project_id, name, value) SELECT {_PROJECT}, 'candidate', 1 FROM place"
    " ON CONFLICT (project_id, name) DO UPDATE SET value = counter.value + 1 RETURNING value)"
    ", made AS (INSERT INTO candidate (project_id, iid, eid, experiment_iid, name, user_name, status, stage,"
    " started_ms, created_ms, promoted, elsewhere, protected, discarded)"
    f" SELECT {_PROJECT}, numbered.value, CAST(:eid AS VARCHAR), CAST(:experiment_iid AS BIGINT),"
    f" CAST(:name AS TEXT), CAST(:user_name AS TEXT), {Status.RUNNING:d}, {Stage.ACTIVE:d},"
    " CAST(:started_ms AS BIGINT), CAST(:now AS BIGINT), false,"
    " NULLIF(place.artifact_location, '') || '/' || CAST(:eid AS VARCHAR) || '/artifacts',"
    " CAST(:protected AS BOOLEAN), false FROM numbered, place RETURNING iid, elsewhere)"
    ", tags AS (INSERT INTO candidate_tag (project_id, candidate_iid, key, value) "
    + _PAIRS.format(project=_PROJECT, owner="made", name="tag")
    + ")"
)
# Each waits for the one before, so that locks are taken in this order.
_JOB = (
    ", pipelines AS (INSERT INTO pipeline (project_id, id, sha, ref, is_tag, source, resolved, on_default_branch,"  # noqa: S608
    f" created_ms) SELECT {_PROJECT}, CAST(:pipeline_id AS BIGINT), CAST(:sha AS VARCHAR), CAST(:ref AS TEXT),"
    " CAST(:is_tag AS BOOLEAN), CAST(:source AS VARCHAR), false, false, CAST(:now AS BIGINT) FROM made"
    " ON CONFLICT (project_id, id) DO NOTHING RETURNING id)"
    ", jobs AS (INSERT INTO job (project_id, id, pipeline_id, retried, allow_failure)"
    f" SELECT {_PROJECT}, CAST(:job_id AS BIGINT), CAST(:pipeline_id AS BIGINT), false, false"
    " FROM (SELECT count(*) AS done FROM pipelines) AS before, made ON CONFLICT (project_id, id) DO NOTHING"
    " RETURNING id)"
)
_TIE = (
    ", tied AS (INSERT INTO candidate_job (project_id, candidate_iid, job_id, pipeline_id, part, verified, late,"  # noqa: S608
    f" after_pipeline, overdue) SELECT {_PROJECT}, made.iid, CAST(:job_id AS BIGINT), CAST(:counts_to AS BIGINT),"
    f" {JobPart.CREATOR:d}, true, false, false, false FROM {{before}}made RETURNING job_id)"
)
_LOOKS = (
    ", looks AS (INSERT INTO due (project_id, kind, key, due_ms, attempts, news_ms)"  # noqa: S608
    f" SELECT {_PROJECT}, '{due.PIPELINE}', {{pipeline}}, CAST(:look_at_ms AS BIGINT), 0,"
    " CAST(:now AS BIGINT) FROM {rows}"
    " ON CONFLICT (project_id, kind, key) DO UPDATE SET due_ms = LEAST(due.due_ms, excluded.due_ms), attempts = 0,"
    " news_ms = excluded.news_ms)"
)
_LOOK = _LOOKS.format(pipeline="CAST(:counts_to AS BIGINT)", rows="(SELECT count(*) AS done FROM tied) AS before, made")


@cache
def _creating(*, tied: bool, known: bool, looks: bool) -> Statement:
    before = "" if known else "(SELECT count(*) AS done FROM jobs) AS before, "
    parts = [_CREATE, *([] if known or not tied else [_JOB]), *([_TIE.format(before=before)] if tied else [])]
    sql = "".join([*parts, *([_LOOK] if looks else []), " SELECT iid, elsewhere FROM made"])
    return Statement(sa.text(sql), name="tracking.at_once.create")


def create(  # noqa: PLR0913 - the columns of a row, each by its name
    tx: Transaction,
    *,
    eid: str,
    experiment_iid: int,
    name: str,
    user_name: str,
    started_ms: int,
    tags: Mapping[str, str],
    tie: Tie | None = None,
) -> Candidate | None:
    """Create a running candidate with its tags, and tie it to the job that creates it. Returns None, and writes
    nothing, if there is no such experiment or it is deleted.

    Takes a transaction of one statement, see `Project.at_once`.
    """
    protected = None if tie is None else tie.job.ref_protected
    given: dict[str, str | None] = {
        "eid": eid,
        "experiment_iid": str(experiment_iid),
        "name": name,
        "user_name": user_name,
        "started_ms": str(started_ms),
        "now": str(tx.now),
        "protected": None if protected is None else str(protected),
        "tag_keys": _texts(tags),
        "tag_values": _texts(tags.values()),
    }
    if tie is not None:
        given |= {"job_id": str(tie.job.job_id), "counts_to": str(tie.counts_to), "look_at_ms": str(tie.look_at_ms)}
        given |= {"pipeline_id": str(tie.job.pipeline_id), "sha": tie.job.sha, "ref": tie.job.ref}
        given |= {"is_tag": str(tie.job.ref_type == "tag"), "source": tie.job.pipeline_source}
    looks = tie is not None and tie.look_at_ms is not None
    statement = _creating(tied=tie is not None, known=tie is None or tie.known, looks=looks)
    row = tx.one(statement, **given)
    if row is None:
        return None
    iid, elsewhere = row
    return running(
        iid,
        eid=eid,
        experiment_iid=experiment_iid,
        name=name,
        user_name=user_name,
        started_ms=started_ms,
        elsewhere=elsewhere,
        protected=protected,
    )


_ENDING = (
    "WITH ended AS (UPDATE candidate AS own SET {new}"  # noqa: S608
    f" WHERE {_USUAL} AND own.detached_until_ms IS NULL RETURNING {', '.join(f'own.{one.name}' for one in COLUMNS)})"
)
_LOOK_AT_EACH = _LOOKS.format(
    pipeline="tied.pipeline_id",
    rows="(SELECT DISTINCT tie.pipeline_id FROM candidate_job AS tie, ended"  # noqa: S608
    f" WHERE tie.project_id = {_PROJECT} AND tie.candidate_iid = ended.iid ORDER BY tie.pipeline_id) AS tied",
)
_NEW = {"status": "status = CAST(:status AS SMALLINT)", "ended_ms": "ended_ms = CAST(:ended_ms AS BIGINT)"}


@cache
def _ending(vouching: Vouching, *names: str, looks: bool) -> Statement:
    sql = _ENDING.format(new=", ".join([_NEW[name] for name in names]), vouching=vouching.of("own"))
    named = ", ".join([column.name for column in COLUMNS])
    return Statement(
        sa.text(f"{sql}{_LOOK_AT_EACH if looks else ''} SELECT {named} FROM ended"),  # noqa: S608
        name="tracking.at_once.end",
    )


def end(
    tx: Transaction,
    eid: str,
    *,
    status: Status | None,
    ended_ms: int | None,
    vouching: Vouching,
    job_id: int | None = None,
    look_at_ms: int | None = None,
) -> Candidate | None:
    """Change a candidate's status, end time or both, and schedule a look at its pipelines at `look_at_ms`, if given.
    Returns the changed candidate; None if this was not the usual case, and nothing was written.

    A candidate that may outlive its job is not the usual case. Takes the transaction of `Project.at_once`.
    """
    new = {name: value for name, value in (("status", status), ("ended_ms", ended_ms)) if value is not None}
    given: dict[str, object] = {"eid": eid, **{name: int(value) for name, value in new.items()}}
    if vouching is Vouching.JOB:
        given["job_id"] = job_id
    # A server without jobs has no pipelines.
    looks = look_at_ms is not None and vouching is not Vouching.ANYBODY
    if looks:
        given |= {"look_at_ms": look_at_ms, "now": tx.now}
    row = tx.one_after(BY_EID_TO_WRITE, _ending(vouching, *new, looks=looks), **given)
    return None if row is None else candidate_of(row)


def _texts(values: Iterable[str]) -> str:
    """Write texts as a PostgreSQL array: https://www.postgresql.org/docs/current/arrays.html#ARRAYS-IO."""
    escaped = [value.replace("\\", "\\\\").replace('"', '\\"') for value in values]
    return "{" + ",".join([f'"{value}"' for value in escaped]) + "}"
