"""Garbage collection, in a folder and in S3: docs/how-to/operate.md."""

import threading
from dataclasses import replace

import pytest

from mltrail_server.domain.ids import ProjectId
from mltrail_server.services.admin import garbage
from mltrail_server.services.context.deps import Deps
from mltrail_server.settings import Settings
from mltrail_server.store.files import blobs, files
from mltrail_server.store.identity import projects
from mltrail_server.store.tracking import usage
from tests.clock import DAY, FrozenClock
from tests.mlflow_client import MLFLOW_ARTIFACTS, Mlflow, good

ONE = ProjectId(1)


@pytest.fixture
def settings(settings: Settings, s3_next_to_postgresql: dict[str, str]) -> Settings:
    return replace(settings, **s3_next_to_postgresql)


def put(mlflow: Mlflow, path: str, content: bytes = b"bytes") -> None:
    good(mlflow.call("PUT", f"{MLFLOW_ARTIFACTS}/artifacts/{path}", data=content))


def sizes(deps: Deps) -> list[int]:
    return sorted(one.size for one in deps.files.stored(ONE))


def counts(done: garbage.Collected) -> tuple[int, int]:
    return done.files, done.size


def test_what_nothing_refers_to_goes_after_a_day(mlflow: Mlflow, root: str, deps: Deps, clock: FrozenClock) -> None:
    put(mlflow, f"{root}/replaced", b"1")
    put(mlflow, f"{root}/kept", b"22")
    put(mlflow, f"{root}/folder/deleted", b"333")
    clock.advance(DAY)
    put(mlflow, f"{root}/replaced", b"4444")
    good(mlflow.call("DELETE", f"{MLFLOW_ARTIFACTS}/artifacts/{root}/folder"))
    clock.advance(DAY - 1)
    assert counts(garbage.collect(deps)) == (0, 0)
    clock.advance(1)
    assert counts(garbage.collect(deps, dry_run=True)) == (2, 4)
    assert sizes(deps) == [1, 2, 3, 4]
    assert counts(garbage.collect(deps)) == (2, 4)
    assert sizes(deps) == [2, 4]
    assert counts(garbage.collect(deps)) == (0, 0)
    assert mlflow.call("GET", f"{MLFLOW_ARTIFACTS}/artifacts/{root}/replaced", buffered=True).get_data() == b"4444"


def test_what_has_another_name_stays(mlflow: Mlflow, root: str, deps: Deps, clock: FrozenClock) -> None:
    put(mlflow, f"{root}/model/MLmodel")
    with deps.project(ONE).write() as tx:
        held = files.below(tx, f"{root}/model")
        files.copy(tx, held, source=f"{root}/model", target="promotions/1-1/artifacts")
    good(mlflow.call("DELETE", f"{MLFLOW_ARTIFACTS}/artifacts/{root}/model"))
    clock.advance(2 * DAY)
    assert counts(garbage.collect(deps)) == (0, 0)
    with deps.project(ONE).write() as tx:
        files.delete(tx, "promotions/1-1/artifacts")
    assert counts(garbage.collect(deps)) == (0, 0), "its day begins when the last name goes"
    clock.advance(DAY)
    assert counts(garbage.collect(deps)) == (1, 5)


def test_what_lost_its_name_unnoted_is_noticed_and_goes_a_day_later(deps: Deps, clock: FrozenClock) -> None:
    with deps.project(ONE).write() as tx:
        projects.ensure(replace(tx, now=1), path="p")
        blobs.add(replace(tx, now=1), "f" * 32, size=7, sha256=None)
    assert garbage.collect(deps).noticed == 1
    assert garbage.collect(deps).noticed == 0
    clock.advance(DAY)
    assert counts(garbage.collect(deps)) == (1, 7)


class TestQuota:
    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return replace(settings, quota_bytes="10")

    def test_what_is_deleted_is_free_and_what_is_collected_counts_nowhere(
        self, mlflow: Mlflow, root: str, deps: Deps, clock: FrozenClock
    ) -> None:
        put(mlflow, f"{root}/f", b"7 bytes")
        assert mlflow.call("PUT", f"{MLFLOW_ARTIFACTS}/artifacts/{root}/g", data=b"7 bytes").status_code == 403
        good(mlflow.call("DELETE", f"{MLFLOW_ARTIFACTS}/artifacts/{root}/f"))
        put(mlflow, f"{root}/g", b"7 bytes")
        good(mlflow.call("DELETE", f"{MLFLOW_ARTIFACTS}/artifacts/{root}/g"))
        answer = mlflow.call("PUT", f"{MLFLOW_ARTIFACTS}/artifacts/{root}/f", data=b"7 bytes")
        assert answer.status_code == 403, "on the disk there is twice the quota at most"
        clock.advance(DAY)
        garbage.collect(deps)
        put(mlflow, f"{root}/f", b"7 bytes")
        with deps.project(ONE).read() as tx:
            assert usage.of(tx, usage.BYTES) == 7


def test_a_promotion_at_the_same_moment_keeps_its_files(
    mlflow: Mlflow, root: str, deps: Deps, clock: FrozenClock
) -> None:
    """A name is given in a transaction that is still open while the collection runs."""
    put(mlflow, f"{root}/f")
    with deps.project(ONE).read() as tx:
        held = files.get(tx, f"{root}/f")
    assert held is not None
    good(mlflow.call("DELETE", f"{MLFLOW_ARTIFACTS}/artifacts/{root}/f"))
    clock.advance(DAY)
    collected: list[tuple[int, int]] = []
    collecting = threading.Thread(target=lambda: collected.append(counts(garbage.collect(deps))))
    with deps.project(ONE).write() as tx:
        files.copy(tx, [held], source=root, target="promotions/1-1/artifacts")
        collecting.start()
        collecting.join(0.3)  # on SQLite it waits for the writer, on PostgreSQL it passes the row over
    collecting.join()
    assert collected == [(0, 0)]
    with deps.project(ONE).read() as tx:
        named = files.get(tx, "promotions/1-1/artifacts/f")
    assert named is not None
    assert deps.files.size(ONE, named.blob_id) == 5
