"""Large files in parts and by URLs of the store: https://mlflow.org/docs/latest/self-hosting/architecture/artifact-store/."""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import urllib3

from mltrail_server.domain.ids import ProjectId
from mltrail_server.services.admin import garbage, store_check
from mltrail_server.services.context.deps import Deps
from mltrail_server.services.files import direct_transfers, integrity
from mltrail_server.settings import Settings
from mltrail_server.store.files import files
from mltrail_server.store.files.files import File
from tests.clock import FrozenClock
from tests.mlflow_client import MLFLOW_ARTIFACTS, Mlflow, failure, good
from tests.s3 import Bucket

BACKENDS = ("postgresql",)  # what a team has that has S3
PART = 5 << 20
CONTENT = b"a" * PART + b"the rest"


@pytest.fixture
def settings(settings: Settings, bucket: Bucket) -> Settings:
    return replace(settings, artifacts=bucket.url, s3_endpoint_url=bucket.endpoint_url)


def begin(mlflow: Mlflow, folder: str, *, name: str = "weights.bin", parts: int = 2) -> Any:
    return good(mlflow.call("POST", f"{MLFLOW_ARTIFACTS}/mpu/create/{folder}", json={"path": name, "num_parts": parts}))


def send(begun: Any, content: bytes = CONTENT) -> list[dict[str, Any]]:
    """Send the parts as MLflow's client does: without a token, to the URLs alone."""
    done = []
    for part in begun["credentials"]:
        number = part["part_number"]
        body = content[(number - 1) * PART : number * PART]
        answer = urllib3.request("PUT", part["url"], body=body, headers=part["headers"])
        assert answer.status == 200
        done.append({"part_number": number, "etag": answer.headers["ETag"], "url": part["url"]})
    return done


def finish(mlflow: Mlflow, folder: str, begun: Any, parts: Any, *, name: str = "weights.bin") -> Any:
    body = {"path": name, "upload_id": begun["upload_id"], "parts": parts}
    return mlflow.call("POST", f"{MLFLOW_ARTIFACTS}/mpu/complete/{folder}", json=body)


def give_up(mlflow: Mlflow, folder: str, begun: Any) -> Any:
    body = {"path": "weights.bin", "upload_id": begun["upload_id"]}
    return good(mlflow.call("POST", f"{MLFLOW_ARTIFACTS}/mpu/abort/{folder}", json=body))


def fetch(mlflow: Mlflow, path: str) -> Any:
    return mlflow.call("GET", f"{MLFLOW_ARTIFACTS}/artifacts/{path}", buffered=True)


def test_a_file_in_parts(mlflow: Mlflow, root: str, bucket: Bucket) -> None:
    begun = begin(mlflow, f"{root}/model", name=r"C:\models\weights.bin")
    parts = send(begun)
    assert failure(fetch(mlflow, f"{root}/model/weights.bin"))[0] == 404
    assert good(finish(mlflow, f"{root}/model", begun, parts[::-1])) == {}
    answer = fetch(mlflow, f"{root}/model/weights.bin")
    assert answer.get_data() == CONTENT
    # S3's own tag of a file in parts is a digest of digests: nobody may take it for the content's.
    assert hashlib.md5(CONTENT).hexdigest() not in answer.headers["ETag"]
    assert "-2" not in answer.headers["ETag"]
    assert fetch(mlflow, f"{root}/model/weights.bin").headers["ETag"] == answer.headers["ETag"]
    assert good(finish(mlflow, f"{root}/model", begun, parts)) == {}, "an answer that was lost is asked for again"
    give_up(mlflow, f"{root}/model", begun)
    assert fetch(mlflow, f"{root}/model/weights.bin").get_data() == CONTENT
    assert bucket.uploads() == []


def test_an_upload_that_is_given_up_leaves_nothing(mlflow: Mlflow, root: str, bucket: Bucket) -> None:
    begun = begin(mlflow, root)
    send(begun)
    assert give_up(mlflow, root, begun) == {}
    assert give_up(mlflow, root, begun) == {}
    assert (bucket.uploads(), bucket.keys()) == ([], [])
    assert failure(finish(mlflow, root, begun, [{"part_number": 1, "etag": "x"}]))[0] == 404


def test_parts_that_do_not_make_up_the_file(mlflow: Mlflow, root: str) -> None:
    begun = begin(mlflow, root)
    parts = send(begun)
    assert "all of them" in failure(finish(mlflow, root, begun, parts[:1]))[2]
    assert "all of them" in failure(finish(mlflow, root, begun, [parts[0], parts[0]]))[2]
    wrong = [parts[0], parts[1] | {"etag": '"0123"'}]
    assert failure(finish(mlflow, root, begun, wrong))[:2] == (400, "INVALID_PARAMETER_VALUE")
    small = begin(mlflow, root, name="small")
    sent = send(small, b"x" * 9)
    assert sent
    assert good(finish(mlflow, root, begun, parts)) == {}


def test_numbers_of_parts_that_no_store_takes(mlflow: Mlflow, root: str) -> None:
    for number in (0, -1, 10_001):
        answer = mlflow.call("POST", f"{MLFLOW_ARTIFACTS}/mpu/create/{root}", json={"path": "f", "num_parts": number})
        assert "MLFLOW_MULTIPART_UPLOAD_CHUNK_SIZE" in failure(answer)[2]


def test_what_happens_during_an_upload_counts(
    mlflow: Mlflow, run_id: str, root: str, deps: Deps, bucket: Bucket
) -> None:
    def late(folder: str, happens: Callable[[], object]) -> str:
        begun = begin(mlflow, folder, parts=1)
        parts = send(begun, b"late")
        happens()
        return failure(finish(mlflow, folder, begun, parts))[2]

    def in_the_way() -> None:
        good(mlflow.call("PUT", f"{MLFLOW_ARTIFACTS}/artifacts/{root}/weights.bin/b", data=b"x"))

    assert "can't stand where a folder is" in late(root, in_the_way)
    assert "Restore it first" in late(f"{root}/deep", lambda: mlflow.post("runs/delete", run_id=run_id))
    assert [one.size for one in deps.files.stored(ProjectId(1))] == [1]


def test_another_project_or_path_can_not_finish_an_upload(mlflow: Mlflow, root: str) -> None:
    begun = begin(mlflow, root, parts=1)
    parts = send(begun, b"mine")
    other = Mlflow(mlflow.client, project="2")
    theirs = other.post("runs/create", experiment_id="0")["run"]["info"]["run_id"]
    assert failure(finish(other, f"0/{theirs}/artifacts", begun, parts))[0] == 404
    assert failure(finish(mlflow, f"{root}/elsewhere", begun, parts))[0] == 404
    give_up(other, f"0/{theirs}/artifacts", begun)
    assert good(finish(mlflow, root, begun, parts)) == {}


def test_a_download_by_url_needs_no_token_and_is_a_download(mlflow: Mlflow, run_id: str, root: str) -> None:
    good(mlflow.call("PUT", f"{MLFLOW_ARTIFACTS}/artifacts/{root}/ü.html", data=b"<script>"))
    download = good(mlflow.call("GET", f"{MLFLOW_ARTIFACTS}/presigned/{root}/ü.html"))
    assert download["file_size"] == 8
    answer = urllib3.request("GET", download["url"], headers=download["headers"] | {"Range": "bytes=1-3"})
    assert (answer.status, answer.data) == (206, b"scr")
    assert answer.headers["Content-Disposition"].startswith("attachment; filename*=")
    assert answer.headers["Content-Type"] == "application/octet-stream"
    assert "X-Amz-Expires=300" in download["url"]
    body = {"run_id": run_id, "path": "ü.html"}
    again = good(mlflow.call("POST", "api/2.0/mlflow/artifacts/presigned-download-url", json=body))
    assert urllib3.request("GET", again["url"]).data == b"<script>"
    assert failure(mlflow.call("GET", f"{MLFLOW_ARTIFACTS}/presigned/{root}/nothing"))[0] == 404
    assert failure(mlflow.call("POST", "api/2.0/mlflow/artifacts/presigned-upload-url", json=body))[0] == 501


def announcement(mlflow: Mlflow) -> tuple[bool, bool]:
    info = good(mlflow.call("GET", "api/3.0/mlflow/server-info"))
    return info["multipart_uploads_enabled"], info["multipart_downloads_enabled"]


def test_clients_are_asked_to_when_the_operator_says_so(mlflow: Mlflow) -> None:
    assert announcement(mlflow) == (False, False)


class TestAnnounced:
    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return replace(settings, s3_direct="announced")

    def test_clients_hear_of_it(self, mlflow: Mlflow) -> None:
        assert announcement(mlflow) == (True, True)


class TestQuota:
    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return replace(settings, quota_bytes="5")

    def test_what_is_too_much_is_not_kept(self, mlflow: Mlflow, root: str, bucket: Bucket) -> None:
        begun = begin(mlflow, root, parts=1)
        answer = finish(mlflow, root, begun, send(begun, b"sixsix"))
        assert "MLTRAIL_QUOTA_BYTES" in failure(answer)[2]
        assert (bucket.keys(), bucket.uploads()) == ([], [])


@pytest.mark.parametrize("place", ["folder", "off"])
class TestNotHere:
    @pytest.fixture
    def settings(self, settings: Settings, place: str) -> Settings:
        return (
            replace(settings, artifacts="", s3_endpoint_url="")
            if place == "folder"
            else replace(settings, s3_direct="off")
        )

    def test_clients_hear_that_there_is_another_way(self, mlflow: Mlflow, root: str) -> None:
        good(mlflow.call("PUT", f"{MLFLOW_ARTIFACTS}/artifacts/{root}/f", data=b"bytes"))
        begun = mlflow.call("POST", f"{MLFLOW_ARTIFACTS}/mpu/create/{root}", json={"path": "g", "num_parts": 1})
        assert failure(begun)[:2] == (501, "NOT_IMPLEMENTED")
        assert failure(mlflow.call("GET", f"{MLFLOW_ARTIFACTS}/presigned/{root}/f"))[:2] == (501, "NOT_IMPLEMENTED")
        assert announcement(mlflow) == (False, False)


def test_a_project_parks_no_end_of_uploads(mlflow: Mlflow, root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(direct_transfers, "MOST_OPEN", 2)
    first = begin(mlflow, root, name="1")
    begin(mlflow, root, name="2")
    answer = mlflow.call("POST", f"{MLFLOW_ARTIFACTS}/mpu/create/{root}", json={"path": "3", "num_parts": 1})
    assert failure(answer)[:2] == (501, "NOT_IMPLEMENTED"), "clients send the whole file then"
    body = {"path": "1", "upload_id": first["upload_id"]}
    good(mlflow.call("POST", f"{MLFLOW_ARTIFACTS}/mpu/abort/{root}", json=body))
    begin(mlflow, root, name="3")


class TestLater:
    def test_an_upload_that_is_never_finished_goes_after_a_day(
        self, mlflow: Mlflow, root: str, deps: Deps, clock: FrozenClock, bucket: Bucket
    ) -> None:
        begin(mlflow, root)
        clock.advance(garbage.GRACE_MS - 1)
        begun = begin(mlflow, root)
        clock.advance(1)
        assert garbage.collect(deps, dry_run=True).uploads == 1
        assert garbage.collect(deps).uploads == 1
        assert len(bucket.uploads()) == 1
        assert good(finish(mlflow, root, begun, send(begun))) == {}

    def test_the_check_lists_one_that_is_under_way(self, mlflow: Mlflow, root: str, deps: Deps) -> None:
        begin(mlflow, root)
        found: list[store_check.FileProblem] = []
        assert store_check.check(replace(deps, clock=lambda: 2**52), found.append).lost == 0
        assert [(one.kind, one.names) for one in found] == [
            (store_check.ProblemKind.UNFINISHED, (f"{root}/weights.bin",))
        ]

    def test_one_that_the_database_does_not_know_goes_too(self, deps: Deps, clock: FrozenClock, bucket: Bucket) -> None:
        deps.files.begin(ProjectId(1))
        clock.now = 0
        assert garbage.collect(deps).leftovers == 0
        clock.now = 2**52
        assert garbage.collect(deps).leftovers == 1
        assert bucket.uploads() == []

    def test_a_read_learns_the_digest(self, mlflow: Mlflow, root: str, deps: Deps) -> None:
        begun = begin(mlflow, root)
        good(finish(mlflow, root, begun, send(begun)))

        def held() -> list[File]:
            with deps.project(ProjectId(1)).read() as tx:
                return files.below(tx, root)

        assert [one.sha256 for one in held()] == [None]
        right = hashlib.sha256(CONTENT).hexdigest()
        assert [one.sha256 for one in integrity.with_digests(deps, ProjectId(1), held())] == [right]
        assert [one.sha256 for one in held()] == [right]
