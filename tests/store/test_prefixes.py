"""The index range for a LIKE pattern holds all that the pattern matches, and no more than it must."""

import pytest
import sqlalchemy as sa

from mltrail_server.services.context.deps import Scope
from mltrail_server.services.tracking import candidates, experiments
from mltrail_server.store import schema
from mltrail_server.store.db.filters import begins_with
from mltrail_server.store.tracking import candidate_tags

TAG = schema.candidate_tag
LONG = "é" * schema.VALUE_START
PREFIXES = ["a", "ab", "A", "é", "z", "\\", " ", "\ud7ff", "\ue000", "\uffff", "\U0010ffff", "a\U0010ffff", "🙂", LONG]
VALUES = ["", *(prefix + rest for prefix in PREFIXES for rest in ("", "a", "é", "\U0010ffff", "%x", "_", "🙂"))]


@pytest.fixture
def scope(scope: Scope) -> Scope:
    experiments.create(scope, name="one")
    run = candidates.create(scope, experiment_iid=1).candidate
    with scope.project.write() as tx:
        candidate_tags.put(tx, run.iid, {f"t{number}": value for number, value in enumerate(VALUES)})
    return scope


@pytest.mark.parametrize("wildcard", ["%", "_", "%a", "_%b", ""])
def test_the_range_holds_what_begins_with_the_prefix(scope: Scope, wildcard: str) -> None:
    for prefix in [*PREFIXES, LONG + "a"]:
        within = begins_with(TAG.c.value_start, prefix + wildcard, most=schema.VALUE_START)
        assert within is not None
        with scope.project.read() as tx:
            query = sa.select(TAG.c.value).where(TAG.c.project_id == tx.project_id, TAG.c.key.like("t%"), within)
            found = set(tx.execute(query).scalars())
        assert found == {value for value in VALUES if value.startswith(prefix[: schema.VALUE_START])}, repr(prefix)


@pytest.mark.parametrize("pattern", ["", "%", "_a", "%a"])
def test_a_pattern_that_begins_with_a_wildcard_has_no_range(pattern: str) -> None:
    assert begins_with(TAG.c.value_start, pattern, most=schema.VALUE_START) is None
