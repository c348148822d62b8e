"""Archives that were damaged, or made to deceive: each is refused before anything is written, or not believed."""

import base64
import hashlib
import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from mltrail_server.domain.errors import MltrailError
from mltrail_server.domain.former import SHIFT
from mltrail_server.domain.ids import ProjectId
from mltrail_server.services.archives import importing, reader, writer
from mltrail_server.services.context.deps import Deps
from mltrail_server.settings import Settings
from mltrail_server.store import schema
from mltrail_server.store.db.database import Database
from tests import later_version
from tests.api.archives.filled import PROJECT, Start, column, every_row, pem
from tests.api.archives.forging import Forgery
from tests.api.trail import SHAS, Trail
from tests.mlflow_client import Mlflow

BACKENDS = ("sqlite",)


@pytest.fixture
def archive(
    backend: str, request: pytest.FixtureRequest, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A project with two runs of a pipeline, files, and a version with an alias. It is made once."""
    made = tmp_path_factory.getbasetemp() / "archive-to-forge"
    if not made.exists():
        trail: Trail = request.getfixturevalue("trail")
        trail.train(trail.main(SHAS["b"]), [0.9, 0.8])
        developer = trail.person("developer")
        run_id = trail.runs()[0]["info"]["run_id"]
        developer.post("registered-models/create", name="by hand")
        developer.post("model-versions/create", name="by hand", source=f"runs:/{run_id}/model", run_id=run_id)
        developer.post("registered-models/alias", name="by hand", alias="best", version="1")
        writer.export(trail.deps, PROJECT, made)
    shutil.copytree(made, tmp_path / "out")
    return tmp_path / "out"


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return replace(settings, signing_key=pem())


def refused(deps: Deps, archive: Path, why: str) -> None:
    with pytest.raises(MltrailError, match=why):
        importing.import_archive(deps, archive)
    assert not any(every_row(deps).values())
    assert list(deps.files.stored(PROJECT)) == []


def test_an_archive_can_be_read_without_mltrail(
    archive: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """By the lines of Python in docs/reference/archive.md, and the signature by what the page says of it."""
    page = (Path(__file__).parents[3] / "docs/reference/archive.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    monkeypatch.chdir(archive)
    exec(compile(code, "archive.md", "exec"), {})
    assert [line.count("'eid'") for line in capsys.readouterr().out.splitlines()] == [1, 1]
    manifest = (archive / "manifest.json").read_bytes()
    signature = json.loads((archive / "signature.json").read_text())
    prefix = f"DSSEv1 36 application/vnd.mltrail.archive+json {len(manifest)} ".encode()
    key = load_pem_private_key(pem().encode(), None).public_key()
    assert isinstance(key, Ed25519PublicKey)
    key.verify(base64.b64decode(signature["sig"]), prefix + manifest)
    der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert signature["keyid"] == hashlib.sha256(der).hexdigest()


def test_an_archive_of_an_earlier_schema_is_migrated(deps: Deps, archive: Path, tmp_path: Path) -> None:
    """By the version after this one, which has further tables and columns."""
    runs = Forgery(archive).rows("candidate")
    later = later_version.second(tmp_path / "later")
    later.run("migrate", "--data-dir", tmp_path / "there")
    later.run("import", "--from-archive", archive, "--data-dir", tmp_path / "there")
    database = Database(f"sqlite:///{tmp_path / 'there' / 'mltrail.db'}")
    with database.read() as connection:
        tried = connection.exec_driver_sql("SELECT tried_ms FROM candidate").all()
    database.dispose()
    assert tried == [(None,)] * len(runs)


class TestDamaged:
    """What was changed without the digests, as by a broken disk."""

    def test_a_changed_part(self, deps: Deps, archive: Path) -> None:
        path = archive / "tables/candidate-1.jsonl.gz"
        path.write_bytes(path.read_bytes()[:-1] + b"x")
        refused(deps, archive, r"candidate-1\.jsonl\.gz was changed")

    def test_a_missing_part(self, deps: Deps, archive: Path) -> None:
        (archive / "tables/metric-1.jsonl.gz").unlink()
        refused(deps, archive, r"metric-1\.jsonl\.gz is missing")

    def test_a_changed_content(self, deps: Deps, archive: Path) -> None:
        content = Forgery(archive).content
        content.write_bytes(b"flavors: []")
        refused(deps, archive, "has content that does not match its name")

    def test_a_missing_content(self, deps: Deps, archive: Path) -> None:
        Forgery(archive).content.unlink()
        refused(deps, archive, "is missing")

    @pytest.mark.parametrize("name", ["tables/extra-1.jsonl.gz", "blobs/ab/abcd", "run.sh"])
    def test_something_added(self, deps: Deps, archive: Path, name: str) -> None:
        (archive / name).parent.mkdir(exist_ok=True)
        (archive / name).write_bytes(b"x")
        refused(deps, archive, f"{name} is not named in the manifest")

    def test_a_link(self, deps: Deps, archive: Path) -> None:
        (archive / "tables/link").symlink_to("/etc/passwd")
        refused(deps, archive, "tables/link is not named")
        (archive / "tables/link").unlink()
        content = Forgery(archive).content
        content.rename(archive.parent / "moved")
        content.symlink_to(archive.parent / "moved")
        refused(deps, archive, "is missing")

    def test_an_export_that_was_interrupted(self, deps: Deps, archive: Path) -> None:
        (archive / "manifest.json").unlink()
        refused(deps, archive, "Perhaps the export was interrupted")


class TestSigned:
    """The signature of our own key does not fit what was changed."""

    def test_a_changed_manifest(self, deps: Deps, archive: Path) -> None:
        Forgery(archive, signed=True).rewrite(lambda manifest: manifest["project"].update(path="other/one"))
        refused(deps, archive, "The signature does not match the manifest")

    def test_a_changed_row(self, deps: Deps, archive: Path) -> None:
        Forgery(archive, signed=True).set("candidate_job", "verified", value=True)
        refused(deps, archive, "The signature does not match the manifest")

    def test_the_signature_of_another_archive(self, deps: Deps, mlflow: Mlflow, archive: Path) -> None:
        mlflow.post("experiments/create", name="mine")
        writer.export(deps, ProjectId(1), archive.parent / "another")
        (archive / "signature.json").write_bytes((archive.parent / "another/signature.json").read_bytes())
        refused(deps, archive, "The signature does not match the manifest")

    @pytest.mark.parametrize("text", ["", "{}", '{"keyid": "a", "sig": "!"}', '{"keyid": 1, "sig": "AAAA"}'])
    def test_no_signature_at_all(self, deps: Deps, archive: Path, text: str) -> None:
        (archive / "signature.json").write_text(text)
        refused(deps, archive, r"signature\.json")


def claim(table: str, name: str, value: Any, why: str) -> Any:
    return pytest.param(lambda forged: forged.set(table, name, value), why, id=f"{table}.{name}={str(value)[:40]}")


def table_without_rows(name: str) -> dict[str, Any]:
    return {"name": name, "columns": ["project_id"], "rows": 0, "parts": []}


AMENDMENT = {"project_id": 42, "candidate_iid": 1, "user_name": "a", "kinds": "", "first_ms": 1, "last_ms": 1}
BAD_JSON = {"serialized": "[" * 5000, "user_name": "a"}
FORGED: list[Any] = [
    claim("candidate", "project_id", 43, "does not belong to project 42"),
    claim("candidate", "eid", None, "is not a row of it"),
    claim("candidate", "iid", "1", "is not a row of it"),
    claim("candidate", "experiment_iid", 99, "FOREIGN KEY"),
    claim("candidate", "iid", 2**60, "which no server assigns"),
    claim("candidate", "elsewhere", "https://evil.example/files", "candidate.elsewhere of the archive is not allowed"),
    claim("candidate", "elsewhere", "file:///etc", "is not allowed"),
    claim("experiment", "artifact_location", "s3://key:secret@bucket/x", "is not allowed"),
    claim("model_version", "location", "javascript://x", "model_version.location of the archive is not allowed"),
    claim("candidate", "status", 9, "candidate.status of the archive is 9, which is not valid"),
    claim("experiment", "stage", -1, "which is not valid"),
    pytest.param(
        lambda forged: forged.add("scorer_version", project_id=42, scorer_id="s", version=1, created_ms=1, **BAD_JSON),
        "FOREIGN KEY|is not the JSON that it should be",
        id="JSON",
    ),
    claim("model_alias", "number", 2, "The alias 'best' points to a version that does not exist"),
    claim("file", "path", "1/../../etc/passwd", "which no server keeps"),
    claim("file", "path", "/etc/passwd", "which no server keeps"),
    claim("file", "path", "promotions/900-999/artifacts/model/MLmodel", "which no server keeps"),
    claim("file", "path", "beside/999/artifacts/x", "which no server keeps"),
    claim("blob", "id", "../../../../../../tmp/forged0000", "FOREIGN KEY|names a blob"),
    pytest.param(
        lambda forged: forged.add("amendment", **AMENDMENT, job_id=SHIFT + 42), "is no number of a pipeline", id="a job"
    ),
    pytest.param(
        lambda forged: forged.rewrite(lambda manifest: manifest["tables"].append(table_without_rows("x"))),
        "names the table x",
        id="an unknown table",
    ),
    pytest.param(
        lambda forged: forged.rewrite(lambda manifest: manifest["tables"][0]["columns"].append("x")),
        "has different columns",
        id="an unknown column",
    ),
    pytest.param(
        lambda forged: forged.rewrite(lambda manifest: manifest["tables"].pop()),
        "lacks the table|is not named in the manifest",
        id="a table less",
    ),
    pytest.param(
        lambda forged: forged.rewrite(lambda manifest: manifest["tables"][0].update(name="../x")),
        "names a table '../x'",
        id="a table with a path",
    ),
    pytest.param(lambda forged: forged.rewrite(lambda manifest: manifest.update(more=1)), "unknown field", id="a key"),
    pytest.param(
        lambda forged: forged.rewrite(lambda manifest: manifest.update(version=2)),
        "format version is not 1",
        id="format",
    ),
    pytest.param(
        lambda forged: forged.rewrite(lambda manifest: manifest.update(schema="0999", mltrail="9.9.9")),
        r"first upgrade this server to mltrail 9\.9\.9",
        id="a later schema",
    ),
    pytest.param(
        lambda forged: forged.put_blobs([["../../../../tmp/x", *forged.blobs[0][1:]], *forged.blobs[1:]]),
        "names a blob",
        id="a blob with a path",
    ),
    pytest.param(
        lambda forged: forged.put_blobs([[forged.blobs[0][0], "../" * 20 + "etc", 5]]),
        "has a line that is not one of it",
        id="a content with a path",
    ),
    pytest.param(lambda forged: forged.put_blobs(forged.blobs[1:]), "The list of blobs", id="a blob less in the list"),
    pytest.param(
        lambda forged: forged.put_lines("metric", b"[1]\n" * 1_000_000, 1, announced=1000),
        "unpacks to more than the manifest says",
        id="a bomb",
    ),
    pytest.param(
        lambda forged: forged.put_lines("metric", b"", 1),
        "has less or more data than the manifest says",
        id="a wrong count",
    ),
]


@pytest.mark.parametrize(("forge", "why"), FORGED)
def test_a_forgery_is_refused(deps: Deps, archive: Path, forge: Callable[[Forgery], None], why: str) -> None:
    forged = Forgery(archive)
    if not (archive / "tables/amendment-1.jsonl.gz").exists():
        forged.add(
            "amendment", project_id=42, candidate_iid=1, user_name="a", job_id=7, kinds="", first_ms=1, last_ms=1
        )
    forge(forged)
    refused(deps, archive, why)


def test_a_line_without_an_end_is_not_kept_in_memory(
    deps: Deps, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "MOST_LINE", 3_000_000)
    Forgery(archive).put_lines("metric", b"[" + b" " * 5_000_000 + b"]\n", 1)
    refused(deps, archive, "has a line of more than 3,000,000 bytes")


def test_rows_that_wait_for_a_later_run_stay_apart_from_it(start: Start, archive: Path) -> None:
    """They have the number that the next run would get: it gets another one."""
    other = start()
    forged = Forgery(archive)
    last = max(row[forged.columns("candidate").index("iid")] for row in forged.rows("candidate"))
    forged.add("param", project_id=42, candidate_iid=last + 1, key="lr", value="forged")
    forged.add("own_tag", project_id=42, candidate_iid=last + 2, key="reviewed", value="yes")
    importing.import_archive(other.deps, archive)
    trail = other.trail
    trail.train(trail.main(SHAS["d"]), [0.7])
    newest = max(column(other.deps, schema.candidate.c.iid))
    assert newest == last + 3
    run = next(run for run in trail.runs() if run["info"]["run_name"] == "run-0")
    assert {"key": "lr", "value": "0.1"} in run["data"]["params"]


def test_stamps_in_an_archive_that_anybody_could_have_made_are_not_believed(deps: Deps, archive: Path) -> None:
    forged = Forgery(archive)
    forged.set("candidate", "promoted", value=True)
    forged.set("candidate", "protected", value=True)
    forged.set("model_version", "promoted", value=True)
    forged.set("candidate_job", "verified", value=True)
    importing.import_archive(deps, archive)
    assert column(deps, schema.candidate_job.c.verified) == []
    assert set(column(deps, schema.candidate.c.promoted)) == {False}
    assert set(column(deps, schema.candidate.c.protected)) == {None}
    assert set(column(deps, schema.model_version.c.promoted)) == {False}


def test_places_that_the_operator_does_not_allow_are_not_taken_over(deps: Deps, archive: Path) -> None:
    Forgery(archive).set("experiment", "artifact_location", "s3://bucket/somewhere", row=1)
    done = importing.import_archive(deps, archive)
    (line,) = done.changed
    assert line.startswith("experiment 'churn': files of new runs are stored here")
    assert set(column(deps, schema.experiment.c.artifact_location)) == {None}
