"""Pages of a history are what sorting all of it would give, and those of a long one do not read all of it."""

import itertools
import random
from collections.abc import Iterator, Sequence

import pytest
import sqlalchemy as sa

from mltrail_server.domain.candidate import Point
from mltrail_server.services.context.deps import Scope
from mltrail_server.services.tracking import candidates, experiments, histories, logging
from mltrail_server.store import schema
from mltrail_server.store.tracking.history_pages import HistoryOrders
from mltrail_server.store.tracking.metrics import Reading
from tests.statements import statements_of

LATEST = schema.latest_metric
NAN = float("nan")
CHECK = "lag("
Place = tuple[int, int, float, bool]


@pytest.fixture
def eid(scope: Scope) -> str:
    experiments.create(scope, name="one")
    return candidates.create(scope, experiment_iid=1, started_ms=1).candidate.eid


def place_of(reading: Reading) -> Place:
    value, at, step = reading
    return at, step, 0.0 if value is None else value, value is None


class Log:
    """A history that is logged, and what its pages should be."""

    def __init__(self, scope: Scope, eid: str, key: str) -> None:
        self.scope, self.eid, self.key = scope, eid, key
        self.stored: set[Place] = set()

    def add(self, points: Sequence[tuple[int, int, float]]) -> None:
        """Log steps, times and values."""
        logging.log_batch(self.scope, self.eid, points=[Point(self.key, value, at, step) for step, at, value in points])
        self.stored |= {(at, step, 0.0 if value != value else value, value != value) for step, at, value in points}  # noqa: PLR0124 - only NaN differs from itself

    def page(self, limit: int | None, token: str | None = None, after: Place | None = None) -> str | None:
        """Read a page, compare it with what sorting gives, and return the next one's token."""
        found, following = histories.page(self.scope, self.eid, self.key, limit=limit, token=token)
        expected = sorted(place for place in self.stored if after is None or place > after)
        assert list(map(place_of, found)) == expected[:limit]
        assert (following is not None) == (limit is not None and len(expected) > limit)
        self.last = place_of(found[-1])
        return following

    def pages(self, limit: int) -> Iterator[None]:
        """Read all pages, with a stop after each."""
        token, after = None, None
        while (token := self.page(limit, token, after)) is not None:
            after = self.last
            yield

    @property
    def unordered_appends(self) -> int | None:
        with self.scope.project.read() as tx:
            key = sa.select(schema.metric_key.c.id).where(
                schema.metric_key.c.project_id == tx.project_id, schema.metric_key.c.name == self.key
            )
            query = sa.select(LATEST.c.unordered_appends).where(
                LATEST.c.project_id == tx.project_id, LATEST.c.key_id == key.scalar_subquery()
            )
            found: int | None = tx.execute(query).scalar_one()
        return found

    @property
    def is_in_order(self) -> bool:
        by_step = sorted((step, at) for at, step, *_ in self.stored)
        return all(before[1] <= after[1] for before, after in itertools.pairwise(by_step))


def batch(random_: random.Random, begin: int, *, disorder: float) -> list[tuple[int, int, float]]:
    """Make a few points from a step on, with times that are often equal and sometimes fall."""
    points = []
    for step in range(begin, begin + random_.randrange(1, 5)):
        at = 1000 + step // 2 if random_.random() >= disorder else random_.randrange(990, 1030)
        points += [(step, at, random_.choice([NAN, 0.0, 0.0, 0.5, -1.0])) for _ in range(random_.randrange(1, 3))]
    random_.shuffle(points)
    return points


@pytest.mark.parametrize("disorder", [0.0, 0.1])
def test_pages_are_those_of_the_sorted_history_whatever_is_added_between_them(
    scope: Scope, eid: str, disorder: float
) -> None:
    for seed in range(12):
        random_ = random.Random(seed)
        log = Log(scope, eid, f"m{seed}")
        sent: list[list[tuple[int, int, float]]] = []
        step = 0
        for _ in range(6):
            sent.append(batch(random_, step, disorder=disorder))
            step = max(point[0] for point in sent[-1]) + random_.randrange(2)
            log.add(sent[-1])
        for _ in log.pages(random_.randrange(1, 6)):
            chance = random_.random()
            if chance < 0.3:
                log.add(batch(random_, step, disorder=disorder))
                step += 4
            elif chance < 0.4:
                log.add(random_.choice(sent))  # again, after a lost answer
            elif chance < 0.5:
                log.add([(random_.randrange(step + 1), random_.randrange(990, 1040), 0.25)])
            # What is said to be in order is.
            assert log.is_in_order or log.unordered_appends
        log.page(None)


def test_what_comes_in_order_is_known_to_be(scope: Scope, eid: str) -> None:
    one, many, other = (Log(scope, eid, key) for key in ("one", "many", "other"))
    for step in range(5):
        one.add([(step, 1000 + step // 2, NAN)])
        many.add([(10 * step + more, 1000 + step, 0.5) for more in reversed(range(10))])
    assert (one.unordered_appends, many.unordered_appends) == (0, 0)
    one.add([(4, 1002, NAN)])  # the last one again
    one.add([(4, 1002, 0.5), (4, 1003, -0.5)])
    assert one.unordered_appends == 0
    # Several metrics at once, each with steps of its own.
    points = [Point("many", 0.5, 2000, 60), Point("other", 0.5, 2000, 3), Point("one", 0.5, 2000, 8)]
    logging.log_batch(scope, eid, points=points)
    assert [log.unordered_appends for log in (one, many, other)] == [0, 0, 0]


@pytest.mark.parametrize(
    "added", [(3, 1005, 0.5), (20, 1001, 0.5)], ids=["a step before the last", "a time before the last"]
)
def test_what_may_be_out_of_order_is_noted(scope: Scope, eid: str, added: tuple[int, int, float]) -> None:
    log = Log(scope, eid, "m")
    log.add([(step, 1000 + step, 0.5) for step in range(10)])
    log.add([added])
    assert log.unordered_appends == 1
    log.add([(30, 1030, 0.5)])
    assert log.unordered_appends == 1
    log.add([(40, 1050, 0.5), (50, 1040, 0.5)])
    assert log.unordered_appends == 2


@pytest.mark.every_case
@pytest.mark.parametrize("known", [True, False], ids=["in order", "not known"])
def test_pages_of_a_long_history_do_not_sort_it(scope: Scope, eid: str, plans: list[str], known: bool) -> None:
    log = Log(scope, eid, "m")
    steps = [*range(2000, 4000), *range(2000)] if not known else range(4000)
    for begin in range(0, 4000, 1000):
        log.add([(step, 1000 + step, 0.5) for step in steps[begin : begin + 1000]])
    assert log.unordered_appends == (0 if known else 2)
    for _ in log.pages(1000):
        pass
    for limit in (10, 1000):
        plans.clear()
        token = log.page(limit)
        log.page(limit, token, log.last)
        assert plans
        for line in plans:
            assert not any(word in line for word in ("TEMP B-TREE", "Sort", "SCAN metric", "Seq Scan on metric ")), (
                plans
            )


def test_a_history_is_checked_once_after_each_value_that_may_be_out_of_order(scope: Scope, eid: str) -> None:
    log = Log(scope, eid, "m")
    log.add([(step, 1000 + step, 0.5) for step in range(20, 40)])
    log.add([(step, 1000 + step, 0.5) for step in range(20)])

    def checks() -> int:
        with statements_of(scope.deps) as seen:
            for _ in log.pages(10):
                pass
        return sum(CHECK in one for one in seen)

    assert [checks(), checks()] == [1, 0]
    log.add([(50, 1050, 0.5)])
    assert checks() == 0
    log.add([(45, 1045, 0.5)])
    assert [checks(), checks()] == [1, 0]
    log.add([(60, 1001, 0.5)])
    assert [checks(), checks()] == [1, 0]  # it is out of order, which is known, too


def test_a_short_history_is_not_checked(scope: Scope, eid: str) -> None:
    log = Log(scope, eid, "m")
    log.add([(3, 3, 0.5)])
    log.add([(1, 1, 0.5)])
    with statements_of(scope.deps) as seen:
        log.page(2)
        log.page(None)
    assert not any(CHECK in one for one in seen)


def test_a_row_from_before_the_order_was_noted(scope: Scope, eid: str) -> None:
    log = Log(scope, eid, "m")
    log.add([(step, 1000 + step, 0.5) for step in range(20)])
    with scope.project.write() as tx:
        tx.execute(sa.update(LATEST).where(LATEST.c.project_id == tx.project_id).values(unordered_appends=None))
    for number, _ in enumerate(log.pages(5)):
        log.add([(20 + number, 1020 + number, 0.5)])
    assert log.unordered_appends == 1
    log.add([(19, 1019, 0.5)])
    assert log.unordered_appends == 1, "it was there already"
    log.add([(2, 1010, 0.5)])
    assert log.unordered_appends == 2
    for _ in log.pages(5):
        pass


def test_orders_are_forgotten_when_there_are_too_many(scope: Scope, eid: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mltrail_server.store.tracking.history_pages._MOST_KNOWN", 2)
    orders = scope.deps.history_orders
    assert isinstance(orders, HistoryOrders)
    for key in ("a", "b", "c", "a"):
        log = Log(scope, eid, key)
        log.add([(3, 3, 0.5), (2, 2, 0.5), (1, 1, 0.5)])
        log.add([(0, 0, 0.5)])
        for _ in log.pages(1):
            pass
        assert len(orders) <= 2
