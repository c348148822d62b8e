"""Who may publish for a merge request: one process at a time, and none whose report is older than what is published."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from mltrail_server.domain import gitlab_ci
from mltrail_server.domain.ids import ProjectId
from mltrail_server.services.context.deps import Deps
from mltrail_server.store.ci import merge_requests, publications

PROJECT = ProjectId(1)
REQUEST = 7
LEASE = 1_000


@pytest.fixture(autouse=True)
def merge_request(deps: Deps) -> None:
    opened = gitlab_ci.GitLabMergeRequest(
        REQUEST, "Learn", "opened", "faster", "main", 1, "a" * 40, "b" * 40, "https://x/7"
    )
    with deps.project(PROJECT).write() as tx:
        merge_requests.refresh(tx, opened)


def claim(deps: Deps, lease: str, *, now: int) -> bool:
    with deps.project(PROJECT).write() as tx:
        return publications.claim(replace(tx, now=now), REQUEST, lease=lease, until=now + LEASE)


def renew(deps: Deps, lease: str, *, now: int) -> bool:
    with deps.project(PROJECT).write() as tx:
        return publications.renew(replace(tx, now=now), REQUEST, lease=lease, until=now + LEASE)


def release(deps: Deps, lease: str) -> None:
    with deps.project(PROJECT).write() as tx:
        publications.release(tx, REQUEST, lease=lease)


def test_of_many_one_gets_it(deps: Deps) -> None:
    with ThreadPoolExecutor(8) as pool:
        taken = list(pool.map(lambda number: claim(deps, str(number), now=0), range(8)))
    assert taken.count(True) == 1


def test_it_is_free_again_once_it_is_given_back_or_has_expired(deps: Deps) -> None:
    assert claim(deps, "a", now=0)
    assert not claim(deps, "b", now=LEASE - 1)
    release(deps, "b")
    assert not claim(deps, "b", now=LEASE - 1), "nobody gives back what another has"
    release(deps, "a")
    assert claim(deps, "b", now=1)
    assert claim(deps, "c", now=1 + LEASE)


def test_it_is_renewed_for_as_long_as_nobody_else_has_had_it(deps: Deps) -> None:
    assert claim(deps, "a", now=0)
    assert renew(deps, "a", now=LEASE + 5), "it has expired, and nobody has taken it"
    assert not claim(deps, "b", now=LEASE + 6)
    assert claim(deps, "b", now=2 * LEASE + 5)
    assert not renew(deps, "a", now=2 * LEASE + 6)
    release(deps, "b")
    assert not renew(deps, "a", now=2 * LEASE + 7), "what b has published is newer"


def test_a_merge_request_that_is_not_known_has_none(deps: Deps) -> None:
    with deps.project(PROJECT).write() as tx:
        assert not publications.claim(tx, 8, lease="a", until=tx.now + LEASE)
    with deps.project(ProjectId(2)).write() as tx:
        assert not publications.claim(tx, REQUEST, lease="a", until=tx.now + LEASE)
