"""Each promoted version has a provenance statement, and a changed byte is found against it.

https://slsa.dev/spec/v1.0/provenance
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from mltrail_ci import cli, ed25519
from mltrail_server.app import create_app
from mltrail_server.domain.errors import MltrailError
from mltrail_server.domain.ids import ProjectId
from mltrail_server.services.admin import garbage
from mltrail_server.services.context.deps import Deps
from mltrail_server.services.promotion.provenance import Signer, signer
from mltrail_server.settings import Settings
from mltrail_server.store.files import files
from tests.api.promotion.merges import merged, open_request
from tests.api.promotion.promoting import promote, provenance_of, statement
from tests.api.trail import SHAS, Trail
from tests.clock import FrozenClock
from tests.fakes.gitlab.serving import Serving
from tests.mlflow_client import Mlflow, good
from tests.team import EXTERNAL_URL, Team

KEY = Ed25519PrivateKey.from_private_bytes(b"\7" * 32)
BACKENDS = ("sqlite",)
PEM = KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


@pytest.fixture
def gitlab_settings(gitlab_settings: Settings) -> Settings:
    return replace(gitlab_settings, signing_key=PEM)


def test_it_names_builder_materials_and_every_file(trail: Trail) -> None:
    pipeline = trail.main(SHAS["b"])
    job = trail.train(pipeline, [0.9])
    run_id = trail.runs()[0]["info"]["run_id"]
    promote(trail, pipeline)
    found, gitlab = statement(trail), trail.team.gitlab.url
    assert found["_type"] == "https://in-toto.io/Statement/v1"
    assert found["predicateType"] == "https://slsa.dev/provenance/v1"
    sha256 = hashlib.sha256(b"flavors: {}").hexdigest()
    assert found["subject"] == [{"name": "MLmodel", "digest": {"sha256": sha256}}]
    definition, details = found["predicate"]["buildDefinition"], found["predicate"]["runDetails"]
    assert details["builder"]["id"] == f"{gitlab}/team/churn/-/jobs/{job.id}"
    assert definition["externalParameters"]["parameters"] == {"lr": "0.1", "seed": "0"}
    assert definition["resolvedDependencies"][0] == {
        "uri": f"git+{gitlab}/team/churn@main",
        "digest": {"gitCommit": SHAS["b"]},
    }
    annotations = details["byproducts"][0]["annotations"]
    assert (annotations["model"], annotations["version"], annotations["run"]) == ("churn", "1.0.0", run_id)
    assert annotations["promotedBy"] == "maintainer"


def test_datasets_are_materials(trail: Trail) -> None:
    pipeline = trail.main(SHAS["b"])
    job = trail.train(pipeline, [0.9], status=None)
    mlflow = Mlflow(trail.client, project="42", token=trail.team.gitlab.mint(job, EXTERNAL_URL))
    source = json.dumps({"uri": "s3://data/churn.parquet"})
    dataset = {"name": "churn", "digest": "ab12", "source_type": "s3", "source": source}
    tags = [{"key": "mlflow.data.context", "value": "training"}]
    run_id = trail.runs()[0]["info"]["run_id"]
    mlflow.post("runs/log-inputs", run_id=run_id, datasets=[{"dataset": dataset, "tags": tags}])
    mlflow.post("runs/update", run_id=run_id, status="FINISHED")
    trail.team.gitlab.set_job(job, "success")
    promote(trail, pipeline)
    assert statement(trail)["predicate"]["buildDefinition"]["resolvedDependencies"][1] == {
        "name": "churn",
        "uri": "s3://data/churn.parquet",
        "digest": {"mlflow": "ab12"},
        "annotations": {"use": "training"},
    }


def test_a_reviewed_candidate_says_who_approved_it(trail: Trail) -> None:
    request = open_request(trail)
    trail.train(trail.of_request(request, SHAS["c"]), [0.9])
    request.approved_by.append(trail.team.users["owner"])
    promote(trail, merged(trail, request, "squash"))
    found = statement(trail)["predicate"]
    annotations = found["runDetails"]["byproducts"][0]["annotations"]
    assert (annotations["mergeRequest"], annotations["approvedBy"]) == (request.iid, ["owner"])
    assert found["buildDefinition"]["resolvedDependencies"][0]["digest"] == {"gitCommit": SHAS["c"]}


def test_what_was_registered_by_hand_has_none(trail: Trail) -> None:
    person = trail.person("developer")
    person.post("registered-models/create", name="churn")
    person.post("model-versions/create", name="churn", source="")
    assert "never promoted" in provenance_of(trail, status=404)["message"]


def public_pem(signer: Signer) -> str:
    return signer.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


@pytest.fixture
def server(trail: Trail) -> Iterator[str]:
    with Serving(create_app(trail.deps)) as running:
        yield running.url


class TestVerify:
    """`mltrail verify` against a server, as a person or a deploying job calls it."""

    @pytest.fixture(autouse=True)
    def _promoted(self, trail: Trail, server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        pipeline = trail.main(SHAS["b"])
        trail.train(pipeline, [0.9])
        promote(trail, pipeline)
        found = signer(trail.deps.settings)
        assert found is not None
        (tmp_path / "key.pem").write_text(public_pem(found))
        monkeypatch.setenv("MLTRAIL_TOKEN", trail.team.tokens["guest"])
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"{server}/api/v4/projects/42/ml/mlflow")

    def run(self, tmp_path: Path, *more: str) -> int:
        return cli.main(["verify", "models:/churn/1.0.0", "--key", str(tmp_path / "key.pem"), *more])

    def test_an_untouched_version(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert self.run(tmp_path) == 0
        assert "churn 1.0.0: 1 file as promoted; signature: checked" in capsys.readouterr().out

    def test_a_version_whose_experiment_was_deleted(
        self, trail: Trail, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        person = trail.person("owner")
        person.post("experiments/delete", experiment_id="1")
        trail.clock.advance(400 * 24 * 60 * 60 * 1000)
        garbage.collect(trail.deps)
        assert self.run(tmp_path) == 0
        assert "1 file as promoted; signature: checked" in capsys.readouterr().out
        assert statement(trail)["subject"][0]["name"] == "MLmodel"

    def test_a_byte_that_changed_in_the_store(
        self, trail: Trail, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with trail.deps.project(ProjectId(42)).read() as tx:
            (file,) = files.below(tx, "promotions")
        path = trail.deps.files.local_path(ProjectId(42), file.blob_id)
        assert path is not None
        content = bytearray(Path(path).read_bytes())
        content[0] ^= 1
        Path(path).write_bytes(content)
        assert self.run(tmp_path) == 1
        assert "WRONG: churn 1.0.0: MLmodel has changed" in capsys.readouterr().out

    def test_offline_with_what_was_kept(
        self, trail: Trail, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        kept = tmp_path / "model"
        kept.mkdir()
        folder = provenance_of(trail)["folder"]
        person = trail.person("guest")
        answer = person.call("GET", f"api/2.0/mlflow-artifacts/artifacts/{folder}/MLmodel", buffered=True)
        (kept / "MLmodel").write_bytes(answer.get_data())
        attestation = str(tmp_path / "attestation.json")
        assert self.run(tmp_path, "--save-attestation", attestation) == 0
        for name in ("MLTRAIL_TOKEN", "MLFLOW_TRACKING_URI"):
            monkeypatch.delenv(name)
        assert self.run(tmp_path, "--attestation", attestation, "--files", str(kept)) == 0
        (kept / "MLmodel").write_bytes(answer.get_data() + b" ")
        assert self.run(tmp_path, "--attestation", attestation, "--files", str(kept)) == 1
        assert "MLmodel has changed" in capsys.readouterr().out


class TestTheKey:
    def test_signatures_name_it(self, trail: Trail) -> None:
        pipeline = trail.main(SHAS["b"])
        trail.train(pipeline, [0.9])
        promote(trail, pipeline)
        (signature,) = provenance_of(trail)["envelope"]["signatures"]
        assert signature["keyid"] == ed25519.keyid(KEY.public_key().public_bytes_raw())

    def test_it_may_be_a_file_or_a_text_with_escaped_line_ends(self, tmp_path: Path) -> None:
        (tmp_path / "key").write_text(PEM)
        for text in (str(tmp_path / "key"), PEM, PEM.replace("\n", "\\n")):
            found = signer(Settings(signing_key=text))
            assert found is not None
            assert public_pem(found).startswith("-----BEGIN PUBLIC KEY-----")

    @pytest.mark.parametrize("text", ["/nowhere", "-----BEGIN PRIVATE KEY-----\nx\n-----END PRIVATE KEY-----"])
    def test_a_text_that_is_no_key_says_how_to_make_one(self, text: str) -> None:
        with pytest.raises(MltrailError, match="openssl genpkey"):
            signer(Settings(signing_key=text))


def test_without_a_key_it_is_not_signed(team: Team, gitlab_deps: Deps, clock: FrozenClock) -> None:
    deps = replace(gitlab_deps, settings=replace(gitlab_deps.settings, signing_key=""))
    trail = Trail(team, create_app(deps).test_client(), deps, clock)
    pipeline = trail.main(SHAS["b"])
    trail.train(pipeline, [0.9])
    promote(trail, pipeline)
    assert provenance_of(trail)["envelope"]["signatures"] == []
    assert good(
        trail.client.get(
            "/api/v4/projects/42/ml/models/churn/versions/champion/provenance",
            headers={"Authorization": f"Bearer {team.tokens['guest']}"},
        )
    )["files"] == ["MLmodel"]
