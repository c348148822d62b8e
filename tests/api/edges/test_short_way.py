"""MLflow's routes are called the short way, past Flask, and Flask's own way answers exactly the same.

The same calls go to two servers, of which one knows no short way.
"""

import gc
import io
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import EnvironBuilder, run_wsgi_app

from mltrail_server.app import create_app, create_deps
from mltrail_server.domain import limits
from mltrail_server.http.call import Call
from mltrail_server.http.late_request import LateRequest
from mltrail_server.http.project_app import ProjectApp
from mltrail_server.http.short_way import ShortWay
from mltrail_server.settings import Settings
from tests.clock import FrozenClock
from tests.mlflow_client import LOCAL_TOKEN

BASE = "/api/v4/projects/1/ml/mlflow"
API = f"{BASE}/api/2.0/mlflow"
FILES = f"{BASE}/api/2.0/mlflow-artifacts/artifacts"
RIGHT = {"Authorization": f"Bearer {LOCAL_TOKEN}"}
Answer = tuple[str, list[tuple[str, str]], bytes]


class Twins:
    """Two servers of their own, with the same clock; `flask` has every call go Flask's way."""

    def __init__(self, folder: Path) -> None:
        clock = FrozenClock()
        self.short, self.flask = (self._made(folder / name, clock) for name in ("short", "flask"))
        self.flask.short_way = ShortWay()
        self.went_short = 0

    @staticmethod
    def _made(folder: Path, clock: FrozenClock) -> ProjectApp:
        settings = Settings(data_dir=str(folder), local_token=LOCAL_TOKEN, secret_key="key-of-the-tests")
        return create_app(create_deps(settings, clock=clock))

    def both(self, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[Answer, Answer]:
        found = self.short.short_way.find(EnvironBuilder(path, method=method).get_environ())
        self.went_short += found is not None
        return self._sent(self.short, method, path, body, headers), self._sent(self.flask, method, path, body, headers)

    @staticmethod
    def _sent(app: ProjectApp, method: str, path: str, body: bytes, headers: dict[str, str]) -> Answer:
        kept = {name.replace("_", "-"): value for name, value in headers.items()}
        builder = EnvironBuilder(path, method=method, headers=kept, input_stream=io.BytesIO(body))
        environ = builder.get_environ()
        environ["CONTENT_LENGTH"] = str(len(body))
        content, status, given = run_wsgi_app(app, environ)
        text = b"".join(content)
        seen: dict[bytes, bytes] = {}
        # Run ids and request ids are random: each is replaced by the place where it first occurs.
        text = re.sub(
            rb"[0-9a-f]{32}|[0-9a-f]{16}|[a-z]+-[a-z]+-[0-9]+",
            lambda hit: seen.setdefault(hit[0], b"#%d" % len(seen)),
            text,
        )
        return status, sorted((name, value) for name, value in given.items() if name != "X-Request-Id"), text


@pytest.fixture(scope="module")
def twins(tmp_path_factory: pytest.TempPathFactory) -> Twins:
    return Twins(tmp_path_factory.mktemp("twins"))


def the_same(twins: Twins, method: str, path: str, body: bytes = b"", **headers: str) -> Answer:
    short, flask = twins.both(method, path, body, **headers)
    assert short == flask, (method, path)
    return short


def rules(app: ProjectApp) -> Iterator[str]:
    yield from sorted({rule.rule for rule in app.url_map.iter_rules() if "/ml/mlflow" in rule.rule})


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
def test_each_route_answers_each_method_the_same_both_ways(twins: Twins, method: str) -> None:
    before = twins.went_short
    for rule in rules(twins.short):
        path = re.sub(r"<path:[^>]+>", "0/a/b.txt", rule.replace("<project:project>", "1"))
        path = re.sub(r"<[^>]+>", "x", path)
        for headers in (RIGHT, {}):
            the_same(twins, method, path, **headers)
            the_same(twins, method, path, b"{}", Content_Type="application/json", **headers)
    known = method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
    assert (twins.went_short > before) is known


ODD_PATHS = (
    *(f"{API}/runs/get/", f"{API}//runs/get", f"{BASE}//api/2.0/mlflow/runs/get", f"{API}/runs/nothing", f"{API}/runs"),
    *(f"{FILES}/", f"{FILES}//0/x", f"{FILES}/0/x/", f"{FILES}/0/a%0Ab", f"{FILES}/0/%00", f"{FILES}/0/..%2Fx"),
    *(f"{FILES}/0/%C3%A9", f"{FILES}/0/%FF", f"{FILES}/0/a/ml/mlflow//b", f"{FILES}/0/a/ml/mlflow/b"),
    f"{FILES}/0/ml/mlflow/api/2.0/mlflow/runs/get",
    f"{BASE}/ajax-api/2.0/preview/mlflow/runs/get",
    *(f"{BASE}/api/3.0/mlflow/traces/", f"{BASE}/api/3.0/mlflow/traces/a/b/c/d", f"{BASE}/version/", BASE, f"{BASE}/"),
    f"{API}/logged-models//tags",
)
PROJECTS = (
    *(
        "0",
        "01",
        "x",
        "team%2Fchurn",
        "team/churn",
        "team/a/churn",
        "ml/ml",
        "team/ml",
        "ml%2Fmlflow",
        "packages/churn",
    ),
    *("team/packages/ml_models", "%C3%A9/x", "%00", "1%00", "/1", "1/", "team//churn", "1/ml/mlflow/1", "..%2F1"),
    "9" * 30,
)


@pytest.mark.parametrize("path", ODD_PATHS)
def test_unusual_paths_are_answered_the_same_both_ways(twins: Twins, path: str) -> None:
    for method in ("GET", "PUT", "DELETE", "POST", "HEAD"):
        the_same(twins, method, path, **RIGHT)


@pytest.mark.parametrize("project", PROJECTS)
def test_the_project_is_found_the_same_both_ways(twins: Twins, project: str) -> None:
    for below in ("api/2.0/mlflow/experiments/get?experiment_id=0", "api/2.0/mlflow-artifacts/artifacts/0/x"):
        the_same(twins, "GET", f"/api/v4/projects/{project}/ml/mlflow/{below}", **RIGHT)


def test_whoever_asks_is_answered_the_same_both_ways(twins: Twins) -> None:
    path = f"{API}/experiments/get?experiment_id=0"
    basic = "Basic eDpsb2NhbC1tb2RlLXRva2Vu"
    for value in (
        f"bearer {LOCAL_TOKEN}",
        f"BEARER  {LOCAL_TOKEN} ",
        "Bearer",
        "Bearer ",
        "Bearer a=b",
        basic,
        "x",
        "",
    ):
        the_same(twins, "GET", path, Authorization=value)
    for name in ("PRIVATE_TOKEN", "JOB_TOKEN"):
        assert the_same(twins, "GET", path, **{name: LOCAL_TOKEN})[0].startswith("200")
        the_same(twins, "GET", path, Authorization="Bearer", **{name: LOCAL_TOKEN})


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1:5000", "localhost", "evil.example.com", "[::1]:80", "127.0.0.1.nip.io", ""),
        *("localhost:5000.example.com", "127.0.0.1@evil.example.com"),
    ],
)
def test_the_host_is_checked_the_same_both_ways(twins: Twins, host: str) -> None:
    answer = the_same(twins, "GET", f"{API}/experiments/get?experiment_id=0", Host=host, **RIGHT)
    assert answer[0].startswith("403") is (host not in ("127.0.0.1:5000", "localhost", "[::1]:80"))


BODIES: tuple[tuple[bytes, str], ...] = (
    *((body, "application/json") for body in (b"", b"null", b"[]", b"{", b"\xff", b'{"run_id": 5}', b"[" * 5000)),
    (b"experiment_id=0&run_name=first", "application/x-www-form-urlencoded"),
    (b"{}", "text/plain"),
    (b"{}", ""),
    (b"--x\r\nContent-Disposition: form-data; name=a\r\n\r\n1\r\n--x--\r\n", "multipart/form-data; boundary=x"),
)


@pytest.mark.parametrize("number", range(len(BODIES)))
def test_each_body_is_read_the_same_both_ways(twins: Twins, number: int) -> None:
    body, kind = BODIES[number]
    for path in ("runs/create", "runs/log-batch", "runs/search", "experiments/search", "model-versions/create"):
        the_same(twins, "POST", f"{API}/{path}", body, Content_Type=kind, **RIGHT)


def test_a_training_is_the_same_both_ways(twins: Twins) -> None:
    def post(path: str, body: bytes) -> Any:
        return the_same(twins, "POST", f"{API}/{path}", body, Content_Type="application/json", **RIGHT)

    post("experiments/create", b'{"name": "churn"}')
    made = post("experiments/create", b'{"name": "churn"}')
    assert made[0].startswith("400")
    post("runs/create", b'{"experiment_id": "1", "run_name": "first", "start_time": 1}')
    post("runs/create", b'{"experiment_id": "99"}')
    post("runs/search", b'{"experiment_ids": ["1"], "filter": "nonsense"}')
    post("runs/search", b'{"experiment_ids": ["1"]}')
    put = the_same(twins, "PUT", f"{FILES}/1/x/artifacts/a.txt", b"text", **RIGHT)
    assert put[0].startswith("404")
    the_same(twins, "GET", f"{API}/experiments/get-by-name?experiment_name=churn", **RIGHT)
    the_same(twins, "GET", f"{API}/experiments/get-by-name?experiment_name=other", **RIGHT)


def test_a_call_leaves_no_reference_cycles_behind(twins: Twins) -> None:
    """They would keep its memory in use until the garbage collector runs."""

    def call() -> None:
        the_same(twins, "GET", f"{API}/experiments/get-by-name?experiment_name=Default", **RIGHT)
        environ = EnvironBuilder(
            f"{API}/experiments/search", method="POST", data=b"{}", content_type="application/json", headers=RIGHT
        ).get_environ()
        b"".join(twins.short(environ, lambda *_: lambda _: None))

    call()
    gc.collect()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        call()
        gc.collect()
        left = [one for one in gc.garbage if isinstance(one, LateRequest | Call)]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()
    assert left == []


def test_a_body_that_is_too_large_is_answered_the_same_both_ways(twins: Twins) -> None:
    big = b" " * (limits.MAX_BODY + 1)
    answer = the_same(twins, "POST", f"{API}/runs/log-batch", big, Content_Type="application/json", **RIGHT)
    assert answer[0].startswith("413")


def test_an_internal_error_is_answered_the_same_both_ways(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    twins = Twins(tmp_path)
    create = f"{API}/runs/create"
    the_same(
        twins, "POST", create, b'{"experiment_id": "0", "run_name": "a"}', Content_Type="application/json", **RIGHT
    )
    for name in ("short", "flask"):
        with sqlite3.connect(tmp_path / name / "mltrail.db") as database:
            database.execute("UPDATE candidate SET status = 77")
        database.close()
    body = b'{"experiment_ids": ["0"]}'
    answer = the_same(twins, "POST", f"{API}/runs/search", body, Content_Type="application/json", **RIGHT)
    assert answer[0].startswith("500")
    assert [record.getMessage() for record in caplog.records] == [f"internal error: POST '{API}/runs/search'"] * 2
