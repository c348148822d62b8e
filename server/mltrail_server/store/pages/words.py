"""Plain words in an experiment's runs.

No index finds a part of a text, so there are two ways, and both are bounded. The values of parameters and tags are few
in most projects, however many runs have them: the different values of each key are walked by an index that skips from
one to the next, and the runs of those that contain the word are looked up. A key with very many values, such as the
learning rate of a random search, is only searched for values that begin with the word. Names and authors are scanned.
If this finds many runs, they need not be known: the newest runs are walked, each is looked at, and the page is soon
full.
"""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from mltrail_server.domain.candidate import Stage
from mltrail_server.store import schema
from mltrail_server.store.db.planner import looked_up
from mltrail_server.store.db.transaction import Transaction

_T = schema.candidate
_LINK = schema.candidate_job
_JOB = schema.job

MOST_VALUES = 300
"""How many different values of a key are looked at."""
_MOST_WALKED = 4_000
_MOST_JOBS = 10_000
MOST_NAMES = 40_000
"""In how many runs, from the newest on, names and authors are looked at."""
_LEAST_OF_ID = 4
"""An id is found by its first characters, from this many on."""

TAGS = (
    "gitlab.CI_COMMIT_REF_NAME",
    "gitlab.CI_COMMIT_SHA",
    "mlflow.note.content",
    "mlflow.source.git.branch",
    "mlflow.source.git.commit",
    "mlflow.source.name",
)
"""Of the tags that MLflow, GitLab and mltrail set, those that are searched. The others are ids and addresses."""
_RESERVED = ("gitlab.", "mlflow.", "mltrail.")


def occurs(tx: Transaction, word: str) -> sa.ColumnElement[bool]:
    """Check whether a word occurs in a candidate, looking at all that was logged to it."""
    param, tag = schema.param, schema.candidate_tag
    return sa.or_(
        _in_row(tx, word),
        _exists(param, _contains(tx, param.c.value, word)),
        _exists(tag, _is_searched(tag, tag), _contains(tx, tag.c.value, word)),
        looked_up(
            sa.select(sa.literal(1))
            .select_from(_LINK.join(_JOB, _same_job()))
            .where(
                _LINK.c.project_id == _T.c.project_id,
                _LINK.c.candidate_iid == _T.c.iid,
                _contains(tx, _JOB.c.name, word),
            )
            .correlate(_T)
        ),
    )


def hits(tx: Transaction, experiment_iid: int, stages: Sequence[Stage], word: str, *, most: int) -> list[int] | None:
    """Find the candidates in which a word occurs; None if there are more than `most`. One statement."""
    parts = [
        *_by_id(tx, word),
        *_by_value(tx, schema.param, word),
        *_by_value(tx, schema.candidate_tag, word),
        _by_job(tx, word),
        _by_name(tx, experiment_iid, stages, word),
    ]
    limited = [sa.select(part.limit(most + 1).subquery()) for part in parts]
    found = [row[0] for row in tx.execute(sa.union_all(*limited).limit(most + 1))]
    return sorted(set(found)) if len(found) <= most else None


def _in_row(tx: Transaction, word: str) -> sa.ColumnElement[bool]:
    names = _in_names(tx, _T, word)
    return names if len(word) < _LEAST_OF_ID else sa.or_(names, _begins(_T.c.eid, word.lower()))


def _in_names(tx: Transaction, run: sa.FromClause, word: str) -> sa.ColumnElement[bool]:
    """Look into name and author at once, which takes two thirds of the time; no word has the line break in it."""
    return _contains(tx, run.c.name + "\n" + run.c.user_name, word)


def _by_id(tx: Transaction, word: str) -> list[sa.Select[int]]:
    if len(word) < _LEAST_OF_ID:
        return []
    return [sa.select(_T.c.iid).where(_T.c.project_id == tx.project_id, _begins(_T.c.eid, word.lower()))]


def _by_value(tx: Transaction, table: sa.Table, word: str) -> list[sa.Select[int]]:
    """Find a word in different values, and values that begin with it."""
    seen = sa.select(_values(tx, table)).limit(_MOST_WALKED).subquery()
    same = sa.and_(table.c.key == seen.c.key, table.c.value_start == seen.c.value_start)
    containing = (
        sa.select(table.c.candidate_iid)
        .select_from(seen.join(table, same))
        .where(table.c.project_id == tx.project_id, _is_indexed(table), _contains(tx, seen.c.value_start, word))
    )
    return [containing, *(_beginning(tx, table, spelt) for spelt in _spellings(word))]


def _beginning(tx: Transaction, table: sa.Table, word: str) -> sa.Select[int]:
    keys = _keys(tx, table)
    query = (
        sa.select(table.c.candidate_iid)
        .select_from(keys.join(table, table.c.key == keys.c.key))
        .where(
            table.c.project_id == tx.project_id,
            _is_indexed(table),
            _begins(table.c.value_start, word[: schema.VALUE_START]),
            _is_searched(table, keys),
        )
    )
    return query if len(word) <= schema.VALUE_START else query.where(_begins(table.c.value, word))


def _by_job(tx: Transaction, word: str) -> sa.Select[int]:
    newest = sa.select(_JOB.c.id, _JOB.c.name).where(_JOB.c.project_id == tx.project_id)
    jobs = newest.order_by(_JOB.c.id.desc()).limit(_MOST_JOBS).subquery()
    return (
        sa.select(_LINK.c.candidate_iid)
        .select_from(jobs.join(_LINK, _LINK.c.job_id == jobs.c.id))
        .where(_LINK.c.project_id == tx.project_id, _contains(tx, jobs.c.name, word))
    )


def _by_name(tx: Transaction, experiment_iid: int, stages: Sequence[Stage], word: str) -> sa.Select[int]:
    newest = (
        sa.select(_T.c.iid, _T.c.name, _T.c.user_name)
        .where(_T.c.project_id == tx.project_id, _T.c.experiment_iid == experiment_iid, _T.c.stage.in_(stages))
        .order_by(_T.c.started_ms.desc(), _T.c.eid)
        .limit(MOST_NAMES)
        .subquery()
    )
    return sa.select(newest.c.iid).where(_in_names(tx, newest, word))


def _keys(tx: Transaction, table: sa.Table) -> sa.CTE:
    """Walk the different keys of a table that are indexed, which include all keys that are searched."""
    one = table.alias()
    first = sa.select(sa.func.min(one.c.key).label("key")).where(one.c.project_id == tx.project_id, _is_indexed(one))
    keys = first.cte(recursive=True)
    further = table.alias()
    after = sa.select(sa.func.min(further.c.key)).where(
        further.c.project_id == tx.project_id, further.c.key > keys.c.key, _is_indexed(further)
    )
    return keys.union_all(sa.select(after.correlate(keys).scalar_subquery()).where(keys.c.key.is_not(None)))


def _values(tx: Transaction, table: sa.Table) -> sa.CTE:
    """Walk the different values of each key."""
    keys = _keys(tx, table)
    one, further = table.alias(), table.alias()
    least = sa.select(sa.func.min(one.c.value_start)).where(
        one.c.project_id == tx.project_id, one.c.key == keys.c.key, _is_indexed(one)
    )
    first = sa.select(
        keys.c.key.label("key"), least.correlate(keys).scalar_subquery().label("value_start"), sa.literal(1).label("n")
    )
    values = first.where(keys.c.key.is_not(None), _is_searched(table, keys)).cte(recursive=True)
    after = sa.select(sa.func.min(further.c.value_start)).where(
        further.c.project_id == tx.project_id,
        further.c.key == values.c.key,
        further.c.value_start > values.c.value_start,
        _is_indexed(further),
    )
    step = sa.select(values.c.key, after.correlate(values).scalar_subquery(), values.c.n + 1)
    return values.union_all(step.where(values.c.value_start.is_not(None), values.c.n < MOST_VALUES))


def _is_indexed(rows: sa.FromClause) -> sa.ColumnElement[bool]:
    """Return the condition without which no query uses the index of tags; all parameters are indexed."""
    table = rows.element if isinstance(rows, sa.Alias) else rows
    return schema.is_indexed(rows) if table is schema.candidate_tag else sa.true()


def _is_searched(table: sa.Table, tags: sa.FromClause) -> sa.ColumnElement[bool]:
    if table is not schema.candidate_tag:
        return sa.true()
    own = sa.and_(*(sa.not_(_begins(tags.c.key, prefix)) for prefix in _RESERVED))
    return sa.or_(own, tags.c.key.in_(TAGS))


def _contains(tx: Transaction, column: sa.ColumnElement[Any], word: str) -> sa.ColumnElement[bool]:
    """Compare without regard to case. SQLite knows the case of ASCII letters only, so others are spelt in each way."""
    if tx.dialect != "sqlite":
        return sa.func.strpos(sa.func.lower(column), sa.func.lower(word)) > 0
    if word.isascii():
        return sa.func.instr(sa.func.lower(column), word.lower()) > 0
    return sa.or_(*(sa.func.instr(column, spelt) > 0 for spelt in _spellings(word)))


def _spellings(word: str) -> list[str]:
    return list(dict.fromkeys((word, word.lower(), word.upper(), word.capitalize())))


def _begins(column: sa.ColumnElement[Any], start: str) -> sa.ColumnElement[bool]:
    """Compare with a range, which an index can answer."""
    return sa.and_(column >= start, column < start + "\U0010ffff")


def _exists(table: sa.Table, *conditions: sa.ColumnElement[bool]) -> sa.ColumnElement[bool]:
    inner = sa.select(sa.literal(1)).select_from(table)
    owned = (table.c.project_id == _T.c.project_id, table.c.candidate_iid == _T.c.iid)
    return looked_up(inner.where(*owned, *conditions).correlate(_T))


def _same_job() -> sa.ColumnElement[bool]:
    return sa.and_(_JOB.c.project_id == _LINK.c.project_id, _JOB.c.id == _LINK.c.job_id)
