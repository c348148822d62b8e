"""Damage in each kind of object of a backup is found, before a restore and during one."""

from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from mltrail_server.domain.errors import MltrailError
from mltrail_server.services.backups import manifest, verify
from mltrail_server.services.backups.restore import Place
from mltrail_server.services.backups.verify import Verified
from mltrail_server.services.promotion.provenance import Signer
from tests.backups.world import World, ignore, key_pair

BACKENDS = ("sqlite",)


def found(world: World, *, with_key: bool = True) -> tuple[Verified, list[str]]:
    problems: list[str] = []
    key = world.decryption if with_key else None
    return verify.verify(world.destination, None, key, None, problems.append, progress=ignore), problems


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))


@pytest.fixture(params=[False, True], ids=["plain", "encrypted"])
def saved(request: pytest.FixtureRequest, world: World, tmp_path: Path) -> World:
    if request.param:
        world.encryption, world.decryption = key_pair(tmp_path)
    world.fill()
    world.put("a", b"content of a")
    world.put("b", bytes(100_000))
    world.backup()
    return world


KINDS = ("tables/metric-1.", "tables/blob-1.", "contents.json", "blobs.jsonl.gz", "/blobs/")


def test_each_object_is_checked(saved: World, tmp_path: Path) -> None:
    whole, problems = found(saved)
    assert (whole.damaged, problems, whole.decrypted) == (0, [], True)
    assert found(saved, with_key=False)[1] == []
    for kind in KINDS:
        path = one_of(tmp_path, kind)
        for damage in (flip, Path.unlink):
            content = path.read_bytes()
            damage(path)
            for with_key in (True, False):
                result, problems = found(saved, with_key=with_key)
                assert result.damaged == len(problems) > 0
                assert any(path.name in problem for problem in problems)
            path.write_bytes(content)


@pytest.mark.parametrize("kind", KINDS[:3])
def test_a_restore_of_a_damaged_table_ends_with_an_error(
    saved: World, kind: str, tmp_path: Path, empty_place: Place
) -> None:
    flip(path := one_of(tmp_path, kind))
    with pytest.raises(MltrailError, match=path.name.partition("-")[0]):
        saved.restore(empty_place)


def test_a_restore_tells_which_file_is_damaged(saved: World, tmp_path: Path, empty_place: Place) -> None:
    flip(one_of(tmp_path, "/blobs/"))
    lost: list[str] = []
    restored = saved.restore(empty_place, report=lost.append)
    assert (restored.files, restored.lost, len(lost)) == (1, 1, 1)
    assert "is damaged" in lost[0]


def one_of(folder: Path, kind: str) -> Path:
    return min(path for path in (folder / "backups").rglob("*") if kind in str(path) and path.is_file())


def test_a_damaged_manifest_is_found(saved: World, tmp_path: Path, empty_place: Place) -> None:
    (path,) = (tmp_path / "backups").rglob("manifest.json")
    text = path.read_text()
    for damaged in (
        text.replace('"rows": ', '"rows": 1'),
        text[:-9],
        text.replace("blobs.jsonl", "../../../x/y"),
        "[]",
    ):
        path.write_text(damaged)
        for use in (lambda: found(saved), lambda: saved.restore(empty_place)):
            with pytest.raises(MltrailError, match="manifest"):
                use()
    path.write_text(text.replace('"version": 1', '"version": 2'))
    with pytest.raises(MltrailError, match="newer version"):
        found(saved)


def test_a_signed_backup_is_known_again(world: World) -> None:
    signer, other = Signer(Ed25519PrivateKey.generate()), Signer(Ed25519PrivateKey.generate())
    made = world.backup().manifest
    signed = manifest.signed(made, signer)
    assert manifest.check_signature(signed, signer) == manifest.check_signature(signed, None) == ""
    assert "not signed" in manifest.check_signature(signed, other)
    assert "not signed" in manifest.check_signature(made, signer)
    again = manifest.decoded(manifest.encoded(signed))
    assert manifest.check_signature(again, signer) == ""
    with pytest.raises(MltrailError, match="signature"):
        manifest.check_signature(msgspec.structs.replace(again, rows=9), signer)
