"""What a backup has, restored elsewhere; what is copied again, and what is not."""

from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa

from mltrail_server.artifacts.destinations import open_destination
from mltrail_server.domain.errors import Code, MltrailError
from mltrail_server.services.backups import shelf
from mltrail_server.services.backups.restore import Place
from mltrail_server.store import schema
from mltrail_server.store.archives import target
from mltrail_server.store.db import migrate
from tests.backups.world import ONE, SECRETS, TWO, World, all_rows, content_of, key_pair, place_at
from tests.s3 import Bucket

BACKENDS = ("sqlite", "postgresql")

Empty = Callable[[str], Place]


def test_all_rows_and_files_come_back(world: World, empty: Empty) -> None:
    world.fill()
    world.put("a", b"content of a")
    world.put("b", b"", TWO)
    world.put("large", bytes(300_000))
    expected = all_rows(world.deps.db)
    made = world.backup()
    assert (made.manifest.files, made.manifest.new_files, made.damaged) == (3, 3, [])
    place = empty("restored")
    restored = world.restore(place)
    assert (restored.files, restored.lost) == (3, 0)
    assert all_rows(place.database) == expected
    for path, project, content in (("a", ONE, b"content of a"), ("b", TWO, b""), ("large", ONE, bytes(300_000))):
        assert content_of(place.files, project, world.blob_ids[path]) == content
    migrate.prepare(place.database)


def test_leases_end_and_the_bytes_that_are_used_are_counted(world: World, empty: Empty) -> None:
    world.fill()
    world.put("a", b"12345")
    world.put("gone", b"123")
    world.forget("gone")
    with world.deps.db.write() as connection:
        connection.execute(sa.delete(schema.counter).where(schema.counter.c.project_id == ONE))
        connection.execute(sa.insert(schema.counter).values(project_id=ONE, name="used_bytes", value=8))
    world.backup()
    place = empty("restored")
    world.restore(place)
    with place.database.read() as connection:
        counter, due, request = schema.counter, schema.due, schema.merge_request
        used = sa.select(counter.c.value).where(counter.c.project_id == ONE, counter.c.name == "used_bytes")
        assert connection.execute(used).scalar_one() == 5
        assert list(connection.execute(sa.select(due.c.claimed_until_ms).distinct()).scalars()) == [None]
        leases = sa.select(request.c.note_lease, request.c.note_lease_until_ms).where(request.c.project_id == ONE)
        assert set(connection.execute(leases)) == {(None, None)}
        for table in (schema.web_session, schema.upload):  # whoever was signed in signs in again
            query = sa.select(sa.func.count()).select_from(table)
            assert connection.execute(query, execution_options={"all_projects": True}).scalar_one() == 0


def test_the_second_backup_copies_only_what_is_new(world: World) -> None:
    world.put("a", b"one")
    world.put("again", b"one", TWO)
    first = world.backup()
    assert (first.manifest.files, first.manifest.new_files) == (2, 1)
    world.put("b", b"two")
    second = world.backup()
    assert (second.manifest.files, second.manifest.new_files) == (3, 1)
    assert second.manifest.name == f"{first.manifest.name}-2"  # in the same second
    assert shelf.complete(world.destination) == [first.manifest.name, second.manifest.name]
    assert len(list(world.destination.list("blobs/"))) == 2


def test_what_nothing_points_at_is_left_out(world: World, empty: Empty) -> None:
    blob_id = world.put("a", b"one")
    world.forget("a")
    world.deps.files.delete(ONE, blob_id)  # as garbage collection may do at any moment
    made = world.backup()
    assert (made.manifest.files, made.damaged) == (0, [])
    place = empty("restored")
    assert world.restore(place).lost == 0


def test_a_digest_that_nobody_knows_is_computed_and_kept(world: World, empty: Empty) -> None:
    blob_id = world.put("direct", b"sent straight to S3", digest=False)
    made = world.backup()
    assert (made.manifest.new_files, made.damaged) == (1, [])
    blob = schema.blob
    with world.deps.db.read() as connection:
        query = sa.select(blob.c.sha256).where(blob.c.project_id == ONE, blob.c.id == blob_id)
        assert connection.execute(query).scalar_one() is not None
    place = empty("restored")
    world.restore(place)
    assert all_rows(place.database) == all_rows(world.deps.db)


def test_damaged_files_are_told_and_the_rest_is_saved(world: World, empty: Empty) -> None:
    world.put("whole", b"whole")
    for path, digest in (("missing", True), ("unread", False), ("other", True)):
        world.put(path, path.encode(), digest=digest)
    for path in ("missing", "unread"):
        world.deps.files.delete(ONE, world.blob_ids[path])
    local = world.deps.files.local_path(ONE, world.blob_ids["other"])
    assert local
    Path(local).write_bytes(b"OTHER")
    made = world.backup()
    problems = {one.blob_id: one.problem for one in made.damaged}
    assert problems == {
        world.blob_ids[path]: kind
        for path, kind in (("missing", "missing"), ("unread", "missing"), ("other", "digest"))
    }
    lines: list[str] = []
    place = empty("restored")
    restored = world.restore(place, report=lines.append)
    assert (restored.files, restored.lost, len(lines)) == (1, 3, 3)
    assert content_of(place.files, ONE, world.blob_ids["whole"]) == b"whole"


def test_a_good_copy_stands_in_for_a_damaged_one(world: World, empty: Empty) -> None:
    first = world.put("first", b"the same")
    world.put("second", b"the same", TWO)
    world.deps.files.delete(ONE, first)
    assert world.backup().damaged == []
    place = empty("restored")
    world.restore(place)
    assert content_of(place.files, ONE, first) == b"the same"


def test_an_interrupted_backup_is_not_listed_and_the_next_goes_on(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.put("a", b"one")
    world.put("b", b"two")

    def fail(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(shelf, "write_manifest", fail)
    with pytest.raises(KeyboardInterrupt):
        world.backup()
    monkeypatch.undo()
    assert shelf.complete(world.destination) == []
    left = [one.name for one in world.destination.list("blobs/")]
    with world.destination.create(left[0]) as sink:
        sink.write(b"half")
    made = world.backup()
    assert made.manifest.new_files == 1
    assert list(shelf.interrupted(world.destination)) == []
    assert list(world.work_place.iterdir()) == []


def test_two_backups_at_once_are_refused(world: World) -> None:
    with world.destination.lock(), pytest.raises(MltrailError) as caught:
        world.backup()
    assert caught.value.code is Code.CONFLICT


def test_an_encrypted_backup_hides_names_and_content(world: World, tmp_path: Path, empty: Empty) -> None:
    world.fill()
    world.encryption, world.decryption = key_pair(tmp_path)
    world.put("secret-path", b"secret content")
    expected = all_rows(world.deps.db)
    world.backup()
    stored = [path for path in (tmp_path / "backups").rglob("*") if path.is_file()]
    for path in stored:
        for hidden in (b"secret", b"key-of-the-tests", b"local-token"):
            assert hidden not in path.read_bytes()
    world.put("another", b"new")
    assert world.backup().manifest.new_files == 1  # it is incremental all the same
    place = empty("restored")
    restored = world.restore(place, shelf.complete(world.destination)[0])
    assert restored.secrets == SECRETS
    assert all_rows(place.database) == expected


def test_other_recipients_and_names_get_copies_of_their_own(world: World, tmp_path: Path) -> None:
    world.encryption, world.decryption = key_pair(tmp_path)
    world.put("a", b"one")
    world.backup()
    assert world.backup().manifest.new_files == 0
    assert world.backup("another secret").manifest.new_files == 1
    world.encryption, world.decryption = key_pair(tmp_path, "new identity")
    assert world.backup().manifest.new_files == 1
    world.encryption = None
    made = world.backup()
    assert (made.manifest.new_files, made.secrets_left_out) == (1, True)
    assert not world.reader().contents().secrets


def test_the_wrong_key_and_none_are_refused(world: World, tmp_path: Path, empty: Empty) -> None:
    world.encryption, _ = key_pair(tmp_path)
    world.backup()
    place = empty("restored")
    with pytest.raises(MltrailError, match="MLTRAIL_BACKUP_IDENTITY"):
        world.restore(place)
    _, world.decryption = key_pair(tmp_path, "stranger")
    with pytest.raises(MltrailError, match="another key"):
        world.restore(place)
    assert target.unfinished(place.database) is None


@pytest.mark.parametrize("encrypted", [False, True])
def test_from_a_bucket_to_a_bucket(world: World, bucket: Bucket, tmp_path: Path, empty: Empty, encrypted: bool) -> None:
    from mltrail_server.artifacts.s3 import S3Files  # noqa: PLC0415 - only here

    if encrypted:
        world.encryption, world.decryption = key_pair(tmp_path)
    world.destination = open_destination(f"{bucket.url}/backups", endpoint_url=bucket.endpoint_url)
    for number in range(3):
        world.put(f"f{number}", f"content {number}".encode())
    world.backup()
    assert world.backup().manifest.new_files == 0
    files = S3Files(bucket.name, "files", endpoint_url=bucket.endpoint_url)
    place = Place(empty("restored").database, files)
    world.restore(place)
    assert content_of(files, ONE, world.blob_ids["f1"]) == b"content 1"
    assert all_rows(place.database) == all_rows(world.deps.db)


def test_into_postgresql(world: World, new_postgresql: str, tmp_path: Path) -> None:
    world.fill()
    world.put("a", b"one")
    world.backup()
    place = place_at(new_postgresql, tmp_path / "restored")
    world.restore(place)
    assert all_rows(place.database) == all_rows(world.deps.db)
    place.database.dispose()
