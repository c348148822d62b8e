"""The commands, from their options to their exit codes and what they print."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from mltrail_server import cli
from mltrail_server.store import schema
from mltrail_server.store.db import migrate, revisions
from mltrail_server.store.db.database import Database
from tests import later_version
from tests.backups.world import World, key_pair

BACKENDS = ("sqlite",)
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Run]:
    """Run a command with the settings of the server in the data folder, and return exit code, output and errors."""
    monkeypatch.setenv("MLTRAIL_DATA_DIR", str(tmp_path / "data"))

    def run_it(*arguments: str | Path) -> tuple[int, str, str]:
        code = cli.main([str(one) for one in arguments])
        return code, *capsys.readouterr()

    return run_it


def test_a_backup_is_made_listed_verified_and_restored(world: World, run: Run, tmp_path: Path) -> None:
    world.put("a", b"content")
    (tmp_path / "data" / "secret-key").write_text("key\n")
    place = tmp_path / "b"
    code, said, _ = run("backup", "--to", place)
    assert (code, "1 file (7 bytes); 1 new file." in said) == (0, True)
    assert (
        f"Keep copies of these yourself, or set MLTRAIL_BACKUP_RECIPIENTS: {tmp_path / 'data' / 'secret-key'}" in said
    )
    code, said, _ = run("backup", "--to", place, "--keep", "1", "--json")
    made = json.loads(said)
    assert (code, made["new_files"], len(made["removed"])) == (0, 0, 1)
    assert run("backup", "--to", place, "--list")[1].startswith(f"{made['name']}: ")
    assert json.loads(run("backup", "--to", place, "--list", "--json")[1])["files"] == 1
    code, said, _ = run("backup", "--to", place, "--verify")
    assert (code, "all are intact" in said) == (0, True)
    assert run("backup", "--to", place, "--verify", "none")[0] == 2
    code, said, errors = run("restore", "--from", place, "--data-dir", tmp_path / "new")
    assert (code, errors) == (0, "")
    assert "Checked 1 files (7 bytes): 0 missing" in said
    assert "The backup had no secrets" in said
    code, _, errors = run("restore", "--from", place, "--data-dir", tmp_path / "new")
    assert (code, f"not empty (sqlite:///{tmp_path}/new/mltrail.db)" in errors) == (2, True)
    assert run("backup", "--to", tmp_path / "c", "--list") == (0, "", f"There is no complete backup in {tmp_path}/c.\n")
    code, said, _ = run("restore", "--from", place, "--data-dir", tmp_path / "json", "--json")
    assert json.loads(said)["check"]["files"] == 1


def test_damage_is_exit_code_1(world: World, run: Run, tmp_path: Path) -> None:
    place = tmp_path / "b"
    world.put("a", b"content")
    assert run("backup", "--to", place)[0] == 0
    world.deps.files.delete(1, world.put("gone", b"gone"))  # type: ignore[arg-type] # a project's id
    code, said, _ = run("backup", "--to", place, "--keep", "1")
    assert (code, "its content is missing" in said, "No older backup was removed" in said) == (1, True, True)
    assert len(run("backup", "--to", place, "--list")[1].splitlines()) == 2
    code, said, _ = run("restore", "--from", place, "--data-dir", tmp_path / "new")
    assert (code, "1 missing" in said) == (1, True)
    next(path for path in (place / "blobs").rglob("*") if path.is_file()).write_bytes(b"Content")
    code, said, _ = run("backup", "--to", place, "--verify", "--json")
    assert (code, len(said.splitlines())) == (1, 2)


def test_an_encrypted_backup_brings_its_secrets(
    world: World, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encryption, _ = key_pair(tmp_path)
    place, new = tmp_path / "b", tmp_path / "new"
    (tmp_path / "recipients").write_text("# the team's\n" + "\n".join(encryption.recipients) + "\n")
    monkeypatch.setenv("MLTRAIL_BACKUP_RECIPIENTS", str(tmp_path / "recipients"))
    assert run("migrate")[0] == 0
    (tmp_path / "data" / "secret-key").write_text("the-old-key\n")
    pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / "signing.pem").write_bytes(pem)
    monkeypatch.setenv("MLTRAIL_SIGNING_KEY", str(tmp_path / "signing.pem"))
    code, said, _ = run("backup", "--to", place)
    assert (code, "yourself" in said) == (0, False)
    monkeypatch.delenv("MLTRAIL_SIGNING_KEY")
    assert "encrypted" in run("backup", "--to", place, "--list")[1]
    code, said, _ = run("backup", "--to", place, "--verify")
    assert (code, "MLTRAIL_BACKUP_IDENTITY is not set" in said) == (0, True)
    code, _, errors = run("restore", "--from", place, "--data-dir", new)
    assert (code, "MLTRAIL_BACKUP_IDENTITY" in errors) == (2, True)
    monkeypatch.setenv("MLTRAIL_BACKUP_IDENTITY", str(tmp_path / "identity"))
    assert "not set" not in run("backup", "--to", place, "--verify")[1]
    code, said, _ = run("restore", "--from", place, "--data-dir", new)
    assert (code, "set MLTRAIL_SIGNING_KEY to it" in said) == (0, True)
    assert (new / "signing-key.pem").read_bytes() == pem
    assert (new / "secret-key").read_text() == "the-old-key\n"
    assert (new / "secret-key").stat().st_mode & 0o077 == 0


def test_an_interrupted_restore_is_neither_used_nor_backed_up_and_gets_no_secrets(
    world: World, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encryption, _ = key_pair(tmp_path)
    monkeypatch.setenv("MLTRAIL_BACKUP_RECIPIENTS", encryption.recipients[0])
    monkeypatch.setenv("MLTRAIL_BACKUP_IDENTITY", str(tmp_path / "identity"))
    world.fill()
    (tmp_path / "data" / "secret-key").write_text("the-old-key\n")
    place, new = tmp_path / "b", tmp_path / "new"
    assert run("backup", "--to", place)[0] == 0
    table = next(place.rglob("param-1.*"))
    intact = table.read_bytes()
    table.write_bytes(intact[:-1])
    assert run("restore", "--from", place, "--data-dir", new)[0] == 2
    moved = ("move-database", "--to", f"sqlite:///{tmp_path}/moved.db")
    for command in (("check",), ("worker",), ("migrate",), ("backup", "--to", tmp_path / "away"), moved):
        code, _, errors = run(*command, "--data-dir", new)
        assert (code, "incomplete" in errors) == (2, True)
    assert not (tmp_path / "away").exists()
    table.write_bytes(intact)
    code, said, _ = run("restore", "--from", place, "--data-dir", new)
    assert (code, "was not replaced" in said) == (0, False)
    assert (new / "secret-key").read_text() == "the-old-key\n"


def test_a_misspelt_data_folder_is_not_created(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLTRAIL_BACKUP_RECIPIENTS", key_pair(tmp_path)[0].recipients[0])
    code, _, errors = run("backup", "--to", tmp_path / "b", "--data-dir", tmp_path / "dta")
    assert (code, "No server has set up the database" in errors, (tmp_path / "dta").exists()) == (2, True, False)


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("backup", "--to", "gs://bucket"), "not in gs://"),
        (("backup", "--to", "s3:bucket/prefix"), "is written s3://bucket/prefix"),
        (("backup", "--to", "data/artifacts/x"), "the same place"),
        (("backup", "--to", "b", "--keep", "0"), "--keep must be"),
        (("backup", "--to", "b", "--verify"), "no complete backup"),
        (("restore", "--from", "nowhere"), "no complete backup"),
        (("move-database", "--to", "mysql://host/db"), "--to must name"),
        (("move-database", "--to", "nonsense"), "must be the URL of a database"),
        (("move-database", "--to", "postgresql://u:secret@host:port/db"), "must be the URL of a database"),
        (("move-database", "--to", "postgresql+none://u:secret@host/db"), "must be the URL of a database"),
        (("move-database", "--to", "postgresql://u:secret@127.0.0.1:1/db"), "can't be opened"),
        (("move-database", "--to", "sqlite:///none/x.db"), "does not exist"),
    ],
)
def test_wrong_use_is_told(
    world: World, run: Run, arguments: tuple[str, ...], problem: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, _, errors = run(*arguments)
    assert (code, problem in errors, "secret" in errors) == (2, True, False), errors


def test_a_database_moves_and_the_password_is_not_shown(
    world: World, run: Run, tmp_path: Path, new_postgresql: str
) -> None:
    world.fill()
    code, said, _ = run("move-database", "--to", new_postgresql)
    assert code == 0
    assert "MLTRAIL_DATABASE_URL=postgresql://" in said
    assert "Local mode works only with SQLite" in said
    assert new_postgresql not in said
    code, said, _ = run("move-database", "--to", f"sqlite:///{tmp_path}/again.db", "--json")
    assert (code, json.loads(said)["different"]) == (0, [])


def test_the_url_to_set_does_not_depend_on_the_folder(
    world: World, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, said, _ = run("move-database", "--to", "sqlite:///again.db")
    assert (code, f"MLTRAIL_DATABASE_URL=sqlite:///{tmp_path}/again.db\n" in said) == (0, True)
    assert "Local mode" not in said


def test_an_older_schema_is_backed_up_before_the_upgrade_and_migrated_when_it_is_restored(
    run: Run, tmp_path: Path
) -> None:
    assert run("migrate")[0] == 0
    old = Database(f"sqlite:///{tmp_path / 'data' / 'mltrail.db'}")
    with old.write() as connection:
        connection.exec_driver_sql("INSERT INTO project (project_id, path, created_ms) VALUES (7, 'team/old', 1)")
    old.dispose()
    later = later_version.second(tmp_path / "later")
    backups = tmp_path / "b"
    later.run("backup", "--to", backups, "--data-dir", tmp_path / "data")
    assert f"schema {revisions.newest()}" in later.run("backup", "--to", backups, "--list")
    later.run("restore", "--from", backups, "--data-dir", tmp_path / "new")
    new = Database(f"sqlite:///{tmp_path / 'new' / 'mltrail.db'}")
    assert migrate.state(new).revision == later.revision
    with new.read() as connection:
        assert connection.execute(sa.select(schema.project.c.path)).scalars().all() == ["team/old"]
    new.dispose()

    code, _, errors = run("restore", "--from", backups, "--data-dir", tmp_path / "again")
    assert (code, errors) == (0, ""), "made of the older schema, whoever made it"
    later.run("backup", "--to", tmp_path / "c", "--data-dir", tmp_path / "new")
    code, _, errors = run("restore", "--from", tmp_path / "c", "--data-dir", tmp_path / "third")
    assert code == 2
    assert f"has the schema {later.revision}, which this version does not know" in errors


def test_an_older_version_says_that_a_later_one_has_migrated(run: Run, tmp_path: Path) -> None:
    assert run("migrate")[0] == 0
    database = Database(f"sqlite:///{tmp_path / 'data' / 'mltrail.db'}")
    with database.write() as connection:
        connection.execute(sa.update(revisions.VERSION).values(version_num="9999"))
        connection.execute(sa.update(revisions.COMPATIBILITY).values(oldest_revision="9999"))
    database.dispose()
    for command in ("migrate", "check", "worker"):
        code, said, errors = run(command)
        assert (code, said) == (2, "")
        assert "has migrated it, and only versions of revision 9999 or later can run on it" in errors
