"""Files through the server, in a folder and in S3."""

import hashlib
import io
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from werkzeug.test import create_environ
from werkzeug.wsgi import FileWrapper

from mltrail_server.domain.ids import ProjectId
from mltrail_server.services.context.deps import Deps
from mltrail_server.settings import Settings
from tests.api.files.transfers import fetch, put
from tests.mlflow_client import FILES, Mlflow, failure, good


@pytest.fixture
def settings(settings: Settings, s3_next_to_postgresql: dict[str, str]) -> Settings:
    return replace(settings, **s3_next_to_postgresql)


def names(mlflow: Mlflow, path: str) -> list[Any]:
    listed = good(mlflow.call("GET", FILES, query_string={"path": path}))
    return [(one["path"], one["is_dir"], one.get("file_size")) for one in listed["files"]]


def test_what_is_put_is_got_at_any_depth(mlflow: Mlflow, root: str) -> None:
    for path in ("a.txt", "deep/er/and deeper/b.bin", "ünï/çode ✓.txt", "plus+and%25.png"):
        good(put(mlflow, f"{root}/{path}", path.encode()))
        answer = fetch(mlflow, f"{root}/{path}")
        assert answer.get_data() == path.encode()
        assert answer.headers["Content-Disposition"].startswith("attachment")
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert "sandbox" in answer.headers["Content-Security-Policy"]
    assert names(mlflow, root) == [
        ("a.txt", False, 5),
        ("deep", True, None),
        ("plus+and%.png", False, 15),
        ("ünï", True, None),
    ]
    assert names(mlflow, f"{root}/deep/er") == [("and deeper", True, None)]
    assert names(mlflow, f"{root}/a.txt") == []
    assert names(mlflow, f"{root}/nothing") == []


def test_listing_of_a_run_gives_paths_of_the_run(mlflow: Mlflow, run_id: str, root: str) -> None:
    put(mlflow, f"{root}/d/b.txt")
    listed = good(mlflow.call("GET", "api/2.0/mlflow/artifacts/list", query_string={"run_id": run_id, "path": "d"}))
    assert listed == {
        "root_uri": f"mlflow-artifacts:/{root}",
        "files": [{"path": "d/b.txt", "is_dir": False, "file_size": 5}],
    }


def test_ranges_and_validators(mlflow: Mlflow, root: str) -> None:
    content = bytes(range(200))
    put(mlflow, f"{root}/f", content)
    part = fetch(mlflow, f"{root}/f", Range="bytes=10-19")
    assert (part.status_code, part.get_data()) == (206, content[10:20])
    tail = fetch(mlflow, f"{root}/f", Range="bytes=-5")
    assert tail.get_data() == content[-5:]
    whole = fetch(mlflow, f"{root}/f")
    assert whole.headers["ETag"] == f'"{hashlib.sha256(content).hexdigest()}"'
    assert whole.headers["Accept-Ranges"] == "bytes"
    known = {"If-None-Match": whole.headers["ETag"]}
    assert fetch(mlflow, f"{root}/f", **known).status_code == 304
    assert fetch(mlflow, f"{root}/f", Range="bytes=10-19", **known).status_code == 304
    assert fetch(mlflow, f"{root}/f", Range="bytes=10-19", **{"If-None-Match": '"other"'}).status_code == 206
    assert fetch(mlflow, f"{root}/f", Range="bytes=10-19", **{"If-Range": '"other"'}).get_data() == content
    for several_or_unreadable in ("bytes=0-1,4-5", "lines=1-2", "bytes=x"):
        assert fetch(mlflow, f"{root}/f", Range=several_or_unreadable).get_data() == content
    beyond = fetch(mlflow, f"{root}/f", Range="bytes=200-")
    assert (beyond.status_code, beyond.headers["Content-Range"]) == (416, "bytes */200")


def test_a_download_keeps_its_name_and_runs_nowhere(mlflow: Mlflow, root: str) -> None:
    put(mlflow, f'{root}/ünï "✓;.html', b"<script>")
    answer = fetch(mlflow, f'{root}/ünï "✓;.html')
    assert answer.headers["Content-Disposition"] == "attachment; filename*=UTF-8''%C3%BCn%C3%AF%20%22%E2%9C%93%3B.html"
    assert answer.content_type == "application/octet-stream"
    part = fetch(mlflow, f'{root}/ünï "✓;.html', Range="bytes=0-1")
    for header in ("Content-Disposition", "Content-Security-Policy", "X-Content-Type-Options", "ETag"):
        assert part.headers[header] == answer.headers[header]


def test_a_file_is_replaced_whole_and_readers_keep_the_old_bytes(mlflow: Mlflow, root: str, deps: Deps) -> None:
    put(mlflow, f"{root}/f", b"old")
    reading = mlflow.call("GET", f"{FILES}/{root}/f")
    put(mlflow, f"{root}/f", b"new and longer")
    with reading:
        assert reading.get_data() == b"old"
    assert fetch(mlflow, f"{root}/f").get_data() == b"new and longer"
    assert names(mlflow, root) == [("f", False, 14)]


def test_an_upload_that_was_cut_off_is_not_stored(mlflow: Mlflow, root: str, deps: Deps) -> None:
    answer = mlflow.call(
        "PUT", f"{FILES}/{root}/f", input_stream=io.BytesIO(b"half"), environ_overrides={"CONTENT_LENGTH": "8"}
    )
    assert failure(answer)[0] == 400
    assert names(mlflow, root) == []
    assert list(deps.files.stored(ProjectId(1))) == []
    assert list(deps.files.leftovers(before_ms=2**60)) == []


def test_a_body_without_a_length_is_stored(mlflow: Mlflow, root: str) -> None:
    chunked = {"Transfer-Encoding": "chunked"}
    for name, content in (("empty", b""), ("full", b"bytes")):
        answer = mlflow.call(
            "PUT",
            f"{FILES}/{root}/{name}",
            headers=chunked,
            input_stream=io.BytesIO(content),
            environ_overrides={"wsgi.input_terminated": True},
        )
        assert answer.status_code == 200
        assert mlflow.call("GET", f"{FILES}/{root}/{name}").data == content
    assert names(mlflow, root) == [("empty", False, 0), ("full", False, 5)]


class Late(io.BytesIO):
    """A body during whose arrival something else happens."""

    def __init__(self, content: bytes, happens: Callable[[], object]) -> None:
        super().__init__(content)
        self.happens = happens

    def read(self, size: int | None = -1) -> bytes:
        self.happens()
        return super().read(size)

    def readinto(self, buffer: Any) -> int:
        self.happens()
        return super().readinto(buffer)


def test_what_happens_during_an_upload_counts(mlflow: Mlflow, run_id: str, root: str, deps: Deps) -> None:
    def late(path: str, happens: Callable[[], object]) -> str:
        answer = mlflow.call(
            "PUT",
            f"{FILES}/{root}/{path}",
            input_stream=Late(b"late", happens),
            environ_overrides={"CONTENT_LENGTH": "4"},
        )
        return failure(answer)[2]

    assert "can't stand where a folder is" in late("a", lambda: put(mlflow, f"{root}/a/b"))
    assert "Restore it first" in late("c", lambda: mlflow.post("runs/delete", run_id=run_id))
    assert names(mlflow, root) == [("a", True, None)]
    assert [one.size for one in deps.files.stored(ProjectId(1))] == [len(b"bytes")]


def test_files_and_folders_do_not_share_a_name(mlflow: Mlflow, root: str) -> None:
    put(mlflow, f"{root}/a/b")
    assert "can't stand where a folder is" in failure(put(mlflow, f"{root}/a"))[2]
    assert "can't stand where a folder is" in failure(put(mlflow, f"{root}/a/b/c"))[2]
    assert "is a folder" in failure(fetch(mlflow, f"{root}/a"))[2]


def test_delete_takes_a_file_or_a_folder_and_nothing_is_no_error(mlflow: Mlflow, root: str) -> None:
    for path in ("a/b", "a/c", "ab"):
        put(mlflow, f"{root}/{path}")
    for path in ("a", "nothing"):
        assert good(mlflow.call("DELETE", f"{FILES}/{root}/{path}")) == {}
    assert names(mlflow, root) == [("ab", False, 5)]
    assert failure(fetch(mlflow, f"{root}/a/b"))[:2] == (404, "RESOURCE_DOES_NOT_EXIST")


NO_PATHS = (
    "../other/artifacts/f",
    "{root}/../../x",
    "{root}/%2e%2e/x",
    "{root}/%252e%252e/x",
    "{root}/%25252e%25252e%25252fx",
    "{root}/a//b",
    "{root}/a%5c..%5cb",
    "{root}/a%00b",
    "{root}/a%23b",
    "/etc/passwd",
    "%2fetc%2fpasswd",
    "f",
    "0/f",
    "x/{run}/artifacts/f",
    "0/{run}/elsewhere/f",
    "{root}",
)


def test_no_path_leaves_its_run(mlflow: Mlflow, root: str) -> None:
    for path in NO_PATHS:
        spelt = path.format(root=root, run=root.split("/")[1])
        status, code, _ = failure(put(mlflow, spelt))
        assert status in (400, 404), path
        assert code in ("INVALID_PARAMETER_VALUE", "RESOURCE_DOES_NOT_EXIST", "ENDPOINT_NOT_FOUND"), path


def test_only_runs_of_the_project_have_folders(mlflow: Mlflow, root: str) -> None:
    put(mlflow, f"{root}/f")
    other = Mlflow(mlflow.client, project="2")
    for call in (put(other, f"{root}/g"), fetch(other, f"{root}/f"), other.call("DELETE", f"{FILES}/{root}/f")):
        assert failure(call)[:2] == (404, "RESOURCE_DOES_NOT_EXIST")
    assert failure(put(mlflow, root.replace("0/", "7/", 1) + "/f"))[0] == 404
    assert fetch(mlflow, f"{root}/f").get_data() == b"bytes"


def test_a_deleted_runs_files_are_read_only(mlflow: Mlflow, run_id: str, root: str) -> None:
    put(mlflow, f"{root}/f")
    mlflow.post("runs/delete", run_id=run_id)
    assert fetch(mlflow, f"{root}/f").get_data() == b"bytes"
    assert "Restore it first" in failure(put(mlflow, f"{root}/g"))[2]


def test_a_page_of_a_folder_continues_where_its_token_says(mlflow: Mlflow, run_id: str, root: str) -> None:
    put(mlflow, f"{root}/f")
    listed = good(mlflow.call("GET", "api/2.0/mlflow/artifacts/list", query_string={"run_id": run_id}))
    assert "next_page_token" not in listed
    status, code, message = mlflow.error("GET", "artifacts/list", run_id=run_id, page_token="made up")
    assert (status, code) == (400, "INVALID_PARAMETER_VALUE")
    assert "page token" in message


def test_a_web_server_that_sends_files_by_itself_does_so(mlflow: Mlflow, root: str, deps: Deps) -> None:
    """Gunicorn offers `wsgi.file_wrapper`, which is sendfile there; it begins where the file stands."""
    content = bytes(range(256)) * 2000
    put(mlflow, f"{root}/f", content)
    in_folder = deps.settings.s3_place is None
    for asked, part in (("", content), ("bytes=7-400000", content[7:400_001])):
        headers = {"Authorization": f"Bearer {mlflow.token}"} | ({"Range": asked} if asked else {})
        environ = create_environ(f"{mlflow.base}/{FILES}/{root}/f", headers=headers)
        body = mlflow.client.application.wsgi_app(environ | {"wsgi.file_wrapper": FileWrapper}, lambda *_: print)
        assert isinstance(body, FileWrapper) is in_folder
        assert b"".join(body)[: len(part)] == part
        body.close()  # type: ignore[attr-defined] # as every web server does


def test_a_head_describes_a_file_without_reading_it(mlflow: Mlflow, root: str) -> None:
    put(mlflow, f"{root}/f", b"x" * 300_000)
    answer = mlflow.call("HEAD", f"{FILES}/{root}/f")
    assert (answer.status_code, answer.content_length, answer.get_data()) == (200, 300_000, b"")


def test_a_dot_is_the_folder_itself_as_clients_send_it(mlflow: Mlflow, run_id: str, root: str) -> None:
    put(mlflow, f"{root}/d/a.txt")
    put(mlflow, f"{root}/./d/./b.txt")
    assert names(mlflow, f"{root}/.") == [("d", True, None)]
    assert [name for name, _, _ in names(mlflow, f"{root}/./d")] == ["a.txt", "b.txt"]
    listed = good(mlflow.call("GET", f"api/2.0/mlflow/artifacts/list?run_id={run_id}&path=./d"))["files"]
    assert [one["path"] for one in listed] == ["d/a.txt", "d/b.txt"]
    assert fetch(mlflow, f"{root}/d/./b.txt").get_data() == b"bytes"


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("notes.TXT", "text/plain"),
        ("model/MLmodel", "text/plain"),
        ("metrics.csv", "text/csv"),
        ("plot.png", "image/png"),
        ("report.pdf", "application/pdf"),
        ("model.pkl", "application/octet-stream"),
        ("page.html", "application/octet-stream"),
        ("plot.svg", "application/octet-stream"),
        ("page.xhtml", "application/octet-stream"),
    ],
)
def test_a_download_names_its_kind_unless_that_kind_can_run(mlflow: Mlflow, root: str, name: str, kind: str) -> None:
    put(mlflow, f"{root}/{name}")
    answer = fetch(mlflow, f"{root}/{name}")
    assert answer.headers["Content-Type"] == kind
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Content-Disposition"].startswith("attachment")
