"""Files of a history: which are listed and read, and that no other place is."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from mltrail_server.domain.errors import MltrailError
from mltrail_server.domain.transfer import FileRecord, Findings, Loss
from mltrail_server.sources.artifacts import Access, Artifacts
from mltrail_server.sources.credentials import Credentials
from mltrail_server.sources.http import Rest
from mltrail_server.sources.patience import Patience
from tests.s3 import Bucket
from tests.sources.proxy import SERVICE, Proxy, serving

RUN = "run 1"


@pytest.fixture
def findings() -> Findings:
    return Findings()


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    with serving() as made:
        yield made


@pytest.fixture
def mlruns(tmp_path: Path) -> Path:
    folder = tmp_path / "mlruns"
    for path, content in {
        "1/a/artifacts/model/weights #1?.bin": b"abc",
        "1/a/artifacts/über.txt": b"",
        "x": b"x",
    }.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    return folder


def read(artifacts: Artifacts, uri: str, *, expected: bool = False) -> dict[str, bytes]:
    found = {}
    for file in artifacts.files(uri, RUN, expected=expected):
        with artifacts.open(file) as stream:
            found[file.path] = stream.read()
        assert file.size == len(found[file.path])
    return found


def patient(proxy: Proxy) -> Rest:
    return Rest(proxy.url, patience=Patience(tries=2, sleep=lambda _: None))


def texts(findings: Findings, loss: Loss = Loss.MISSING) -> str:
    assert {one.loss for one in findings.kept} <= {loss}
    return "\n".join(one.line() for one in findings.kept)


FILES = {"model/weights #1?.bin": b"abc", "über.txt": b""}


@pytest.mark.parametrize("uri", ["{0}/1/a/artifacts", "file://{0}/1/a/artifacts/", "./1/a/artifacts", "1//a/artifacts"])
def test_folders(findings: Findings, mlruns: Path, uri: str) -> None:
    artifacts = Artifacts(findings, base=mlruns)
    assert read(artifacts, uri.format(mlruns)) == FILES
    assert findings.kept == []


def test_a_folder_that_was_not_named_is_not_read(findings: Findings, mlruns: Path) -> None:
    artifacts = Artifacts(findings, base=mlruns / "1")
    for uri in ("file:///etc", "/etc", f"{mlruns}/1/../x", "file://elsewhere/mlruns/1"):
        assert read(artifacts, uri) == {}
    assert len(findings.kept) == 4
    assert "add `--artifacts" in texts(findings)
    with pytest.raises(MltrailError, match="may not read"):
        artifacts.open(FileRecord("passwd", "file:///etc/passwd"))


@pytest.mark.parametrize("uri", ["", ".", "./", "{0}", "file://{0}/", "mlflow-artifacts:/", "mlflow-artifacts://host/"])
def test_the_folder_of_everything_is_no_run(findings: Findings, mlruns: Path, uri: str) -> None:
    """A run that claims to lie there must not bring what others have logged, or the database itself."""
    for artifacts in (Artifacts(findings, base=mlruns), Artifacts(findings, Access(root=str(mlruns)))):
        assert read(artifacts, uri.format(mlruns)) == {}
    assert len(findings.kept) == 2


def test_links_out_of_the_folder_are_not_followed(findings: Findings, mlruns: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    run = mlruns / "1/a/artifacts"
    (run / "link").symlink_to(tmp_path / "secret")
    (run / "links").symlink_to(tmp_path)
    (run / "loop").symlink_to(run)
    (run / "gone").symlink_to(run / "nothing")
    (run / "same").symlink_to(run / "über.txt")
    (mlruns / "2").symlink_to(tmp_path)
    os.mkfifo(run / "pipe")
    artifacts = Artifacts(findings, base=mlruns)
    assert read(artifacts, "1/a/artifacts") == FILES | {"same": b""}
    assert read(artifacts, "2") == {}
    refused = [one.text for one in findings.kept if one.loss is Loss.REFUSED]
    assert [one.split(":")[0] for one in refused] == ["file link", "file links", "file loop", "file pipe"]
    assert [one.loss for one in findings.kept if one.text not in refused] == [Loss.MISSING] * 2


def test_a_name_that_is_no_text(findings: Findings, mlruns: Path) -> None:
    (mlruns / os.fsdecode(b"1/a/artifacts/\xff")).write_bytes(b"")
    assert read(Artifacts(findings, base=mlruns), "1/a/artifacts") == FILES
    assert "not UTF-8" in texts(findings, Loss.REFUSED)


def test_files_that_were_moved(findings: Findings, mlruns: Path) -> None:
    moved = Artifacts(findings, Access(places=(f"file:///home/alice/mlruns={mlruns}", f"s3://old/team={mlruns}")))
    assert read(moved, "file:///home/alice/mlruns/1/a/artifacts") == FILES
    assert read(moved, "/home/alice/mlruns/1/a/artifacts") == FILES
    assert read(moved, "s3://old/team/1/a/artifacts") == FILES
    assert findings.kept == []
    assert read(moved, "s3://old/teams/1/a/artifacts") == {}
    assert "s3://old" in texts(findings)


@pytest.mark.parametrize("uri", ["mlflow-artifacts:/1/a/artifacts", "mlflow-artifacts://host:5000/1/a/artifacts"])
def test_proxied_files_by_their_folder(findings: Findings, mlruns: Path, uri: str) -> None:
    assert read(Artifacts(findings, Access(root=str(mlruns))), uri) == FILES
    assert findings.kept == []


@pytest.mark.parametrize(
    ("uri", "what"),
    [
        ("gs://bucket/1", "`gs:` can't be read"),
        ("wasbs://a@b/1", "`wasbs:` can't be read"),
        ("dbfs:/1", "`dbfs:` can't be read"),
        ("runs:/1/model", "`runs:` can't be read"),
        (r"C:\mlruns\1", "Windows"),
        ("mlflow-artifacts:/1", "--artifacts-root"),
        ("mlruns/1", "--artifacts-root"),
        ("http://user:hidden@elsewhere/1?token=hidden", "may not read"),
        ("s3://bucket/1", "add `--artifacts s3://bucket`"),
    ],
)
def test_places_that_cant_be_read(findings: Findings, uri: str, what: str) -> None:
    assert read(Artifacts(findings), uri) == {}
    assert what in texts(findings)
    assert "hidden" not in texts(findings)


def test_no_files_where_some_are_expected(findings: Findings, mlruns: Path) -> None:
    artifacts = Artifacts(findings, base=mlruns)
    assert read(artifacts, "1/b/artifacts") == {}
    assert findings.kept == []
    assert read(artifacts, "1/b/artifacts", expected=True) == {}
    assert "no files at 1/b/artifacts" in texts(findings)


def test_a_bucket(findings: Findings, bucket: Bucket) -> None:
    for key in ("p/1/artifacts/model/a b?.bin", "p/1/artifacts//odd", "p/1/artifacts/model/", "p/1/artifacts2/x"):
        bucket.api.put_object(Bucket=bucket.name, Key=key, Body=b"" if key.endswith("/") else b"abc")
    place = f"s3://{bucket.name}/p"
    artifacts = Artifacts(findings, Access(places=(place,), s3_endpoint_url=bucket.endpoint_url))
    assert read(artifacts, f"{place}/1/artifacts") == {"model/a b?.bin": b"abc"}
    assert "empty" in texts(findings, Loss.REFUSED)
    with pytest.raises(MltrailError, match=r"does not exist \(NoSuchKey\)"):
        artifacts.open(FileRecord("x", f"{place}/x"))


def test_no_such_bucket(findings: Findings, bucket: Bucket) -> None:
    artifacts = Artifacts(findings, Access(places=("s3://no-such",), s3_endpoint_url=bucket.endpoint_url))
    assert read(artifacts, "s3://no-such/1") == read(artifacts, "s3://no-such/2") == {}
    assert "there is no bucket no-such" in texts(findings)
    assert len(findings.kept) == 2


@pytest.mark.parametrize("uri", ["mlflow-artifacts:/1/a", "mlflow-artifacts://{host}/1/a", "{url}" + SERVICE + "/1/a"])
def test_a_tracking_server(findings: Findings, proxy: Proxy, uri: str) -> None:
    proxy.files = {"1/a/model/a b#?%25.bin": b"abc", "1/a/ü": b"", "1/b/x": b"x"}
    artifacts = Artifacts(findings, server=Rest(proxy.url, Credentials(token="the-token")))
    found = read(artifacts, uri.format(url=proxy.url, host=proxy.url.removeprefix("http://")))
    assert found == {"model/a b#?%25.bin": b"abc", "ü": b""}
    assert findings.kept == []
    assert proxy.tokens == {"Bearer the-token"}


def test_a_tracking_server_named_as_root(findings: Findings, proxy: Proxy, mlruns: Path) -> None:
    proxy.files = {"1/a/x": b"abc"}
    assert read(Artifacts(findings, Access(root=proxy.url), base=mlruns), "mlflow-artifacts:/1/a") == {"x": b"abc"}


def test_no_other_server_is_asked(findings: Findings, proxy: Proxy) -> None:
    artifacts = Artifacts(findings, server=Rest("http://127.0.0.1:1", Credentials(token="the-token")))
    assert read(artifacts, f"{proxy.url}{SERVICE}/1/a") == {}
    assert read(artifacts, f"mlflow-artifacts://{proxy.url.removeprefix('http://')}/1/a") == {}
    assert proxy.tokens == set()
    assert len(findings.kept) == 2


def test_a_file_that_breaks_off(findings: Findings, proxy: Proxy) -> None:
    proxy.files = {"1/a/x": b"abcdef"}
    proxy.cut = {"1/a/x"}
    artifacts = Artifacts(findings, server=patient(proxy))
    (file,) = artifacts.files("mlflow-artifacts:/1/a", RUN)
    with artifacts.open(file) as stream, pytest.raises(MltrailError, match="The connection broke"):
        stream.read()


def test_names_that_lead_elsewhere(findings: Findings, proxy: Proxy) -> None:
    proxy.listed = {"1/a": [{"path": ".."}, {"path": "x/../.."}, {"path": "", "is_dir": True}]}
    assert list(Artifacts(findings, server=patient(proxy)).files("mlflow-artifacts:/1/a", RUN)) == []
    assert len(texts(findings, Loss.REFUSED).splitlines()) == 3
