"""Old backups go, and with them what only they needed; a kill in between leaves nothing that is needed."""

from pathlib import Path

import pytest

from mltrail_server.domain.errors import Code, MltrailError
from mltrail_server.services.backups import prune, shelf
from mltrail_server.services.backups.restore import Place
from tests.backups.world import ONE, World, content_of
from tests.clock import DAY, FrozenClock

BACKENDS = ("sqlite",)


@pytest.fixture
def three(world: World, clock: FrozenClock) -> list[str]:
    """Make three backups: `old` is only in the first, `new` only in the last, `both` in all."""
    names = []
    world.put("both", b"both")
    world.put("old", b"old")
    for number in range(3):
        if number == 2:
            world.put("new", b"new")
        names.append(world.backup().manifest.name)
        clock.advance(DAY)
        if number == 0:
            world.forget("old")
    return names


def blobs(world: World) -> int:
    return len(list(world.destination.list("blobs/")))


def test_the_newest_are_kept(world: World, three: list[str]) -> None:
    assert blobs(world) == 3
    pruned = prune.keep(world.destination, 1)
    assert (pruned.backups, pruned.files) == (three[:2], 1)
    assert shelf.complete(world.destination) == [three[2]]
    assert blobs(world) == 2
    assert prune.keep(world.destination, 1).files == 0


def test_killed_at_each_deletion_what_is_kept_stays_whole_and_the_next_goes_on(
    world: World, three: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    delete, kills = world.destination.delete, 0
    while True:
        deleted: list[str] = []

        def delete_one(name: str, done: list[str] = deleted) -> None:
            if done:
                raise KeyboardInterrupt
            done.append(name)
            delete(name)

        monkeypatch.setattr(world.destination, "delete", delete_one)
        try:
            prune.keep(world.destination, 1)
        except KeyboardInterrupt:
            kills += 1
        else:
            break
        there = {one.name for one in world.destination.list("blobs/")}
        for name in shelf.complete(world.destination):
            of = shelf.read_manifest(world.destination, name)
            assert {one.name for one in shelf.listed_blobs(world.destination, of)} <= there
        assert shelf.complete(world.destination)[-1] == three[2]
    assert kills > 5
    assert (shelf.complete(world.destination), blobs(world)) == ([three[2]], 2)
    assert {one.name.split("/")[1] for one in world.destination.list("backups/")} == {three[2]}


def test_a_manifest_that_can_not_be_read_stops_it(world: World, three: list[str], tmp_path: Path) -> None:
    """Nobody knows what that backup needs."""
    (tmp_path / "backups" / shelf.manifest_name(three[2])).write_text("{}")
    with pytest.raises(MltrailError, match=three[2]):
        prune.keep(world.destination, 1)
    assert (len(shelf.complete(world.destination)), blobs(world)) == (3, 3)


def test_it_waits_for_nobody(world: World, three: list[str]) -> None:
    with world.destination.lock(), pytest.raises(MltrailError) as caught:
        prune.keep(world.destination, 1)
    assert caught.value.code is Code.CONFLICT


def test_an_old_one_is_restored_as_it_was(world: World, three: list[str], empty_place: Place) -> None:
    world.restore(empty_place, three[0])
    assert content_of(empty_place.files, ONE, world.blob_ids["old"]) == b"old"
    assert empty_place.files.size(ONE, world.blob_ids["new"]) is None


def test_a_backup_made_while_the_clock_was_wrong_is_not_the_newest_for_ever(world: World, clock: FrozenClock) -> None:
    clock.advance(1000 * DAY)
    ahead = world.backup().manifest.name
    clock.advance(-1000 * DAY)
    later = [world.backup().manifest.name for _ in range(10)]

    assert later == [f"{ahead}-{number}" for number in range(2, 12)]
    assert shelf.chosen(world.destination, None) == later[-1]
    assert len(prune.keep(world.destination, 1).backups) == 10
    assert shelf.complete(world.destination) == later[-1:]
