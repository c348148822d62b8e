"""Each command in each odd environment: no traceback, no secret, the right exit code, a sentence that says what to do.

The exit code 1 is a verdict, so that nothing that is merely set up wrongly may end with it.
"""

import base64
import contextlib
import http.client
import os
import re
import socket
import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
import requests.utils
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from mltrail_ci import proxies
from mltrail_ci.redaction import hidden
from tests.component.conftest import Job
from tests.component.server import a_promotion, a_report

SECRET = "Hunter2-s3cr3t"
IN_URLS = ("Hunter2-s3cr3t", "Hunter2%2Ds3cr3t", "Hun/ter2?s3cr3t", "Hunter2@s3#cr3t", "Hunter2-s3cr3t:x", "p“w”s3cr3t")
COMMANDS = {
    "report": ["report", "--no-wait", "--dotenv", "out/env", "--junit", "out/junit", "--markdown", "out/note"],
    "promote": ["promote", "--release", "--deployment", "--dotenv", "out/env", "--annotations", "out/links"],
    "rollback": ["rollback", "churn"],
    "verify": ["verify", "models:/churn/1.0.0"],
    "card": ["card", "churn", "--output", "out/card"],
    "runs": ["runs"],
    "winner": ["winner"],
    "detach": ["detach", "--for", "1h", "--experiment", "churn", "--env", "out/detached"],
    "contract": ["contract", "check", ".mltrail.yml", "--pipeline", "5"],
    "doctor": ["doctor"],
}


@pytest.fixture(autouse=True)
def _folder(job: Job, tmp_path: Path) -> None:
    job.environment.chdir(tmp_path)
    job.environment.setattr("mltrail_ci.transport._TRIES", 0)
    job.environment.setattr("mltrail_ci.transport.CONNECT_SECONDS", 5)
    job.environment.setenv("MLFLOW_TRACKING_TOKEN", SECRET)
    job.environment.setenv("HOME", str(tmp_path))
    (tmp_path / ".mltrail.yml").write_text("version: 1\nmodels: {churn: {rules: []}}\n")


def ends_well(job: Job, command: str, tmp_path: Path, *more: str) -> tuple[int, str]:
    """Return the exit code and all output, after checking what holds for every command."""
    code, out, error = job.run(*COMMANDS[command], *more)
    output = out + error
    written = "".join(path.read_text() for path in tmp_path.rglob("*") if path.is_file() and "out" in path.parts)
    for text in (output, written):
        assert "Traceback" not in text
        assert "s3cr3t" not in text.replace("detached", "")
        assert base64.b64encode(SECRET.encode()).decode() not in text
    assert code not in {1, 5} or (command == "doctor" and code == 1), output
    assert re.search(r"^mltrail: .{20,}$", error, re.MULTILINE) or command == "doctor" or code == 0, output
    return code, output


def uris(job: Job) -> dict[str, dict[str, str]]:
    place = job.server.url.partition("://")[2]
    path = "/api/v4/projects/42/ml/mlflow"
    odd = {
        "bracket": "http://[::1" + path,
        "port": "http://host:port" + path,
        "large port": "http://host:99999" + path,
        "blank": "http://ho st" + path,
        "no host": "http://" + path,
        "query": f"http://{place}?a=b{path}",
        "letters": f"http://bücher.example{path}",
        "scheme": "htp://host" + path,
        "file": "file:///mlruns",
        "sqlite": "sqlite:///mlflow.db",
        "databricks": "databricks",
        "other server": f"https://user:{SECRET}@old.example.com",
        "no scheme": f"//user:Other-s3cr3t-9@host{path}",
        "one slash": f"http:/user:Other-s3cr3t-9@host{path}",
        "token in the query": f"http://{place}{path}?private_token=Other-s3cr3t-9",
        "signature in the query": f"http://{place}{path}?a=b&X-Amz-Signature=Other-s3cr3t-9&c=d",
        "key behind a hash": f"http://{place}{path}#api_key=Other-s3cr3t-9",
        "quotes": f'"http://{place}{path}"',
        "null": "http://host\x1b[31m" + path,
        "surrogate": "http://host\udcff" + path,
        "project": f"http://{place}/api/v4/projects/%00%0a/ml/mlflow",
    }
    return {f"uri: {name}": {"MLFLOW_TRACKING_URI": uri} for name, uri in odd.items()}


def tokens() -> dict[str, dict[str, str]]:
    odd = {
        "LF inside": f"{SECRET}\n{SECRET}",
        "CR inside": f"{SECRET}\r{SECRET}",
        "blank inside": f"{SECRET} {SECRET}",
        "typographic quotes": f"“{SECRET}”",
        "quotes": f'"{SECRET}"',
        "backquotes": f"`{SECRET}`",
        "no-break space": f"{SECRET}\u00a0{SECRET}",
        "byte order mark": f"\ufeff{SECRET}",
        "zero width": f"{SECRET}\u200b",
        "umlaut": f"{SECRET}ü",
        "escape": f"\x1b{SECRET}",
        "surrogate": f"{SECRET}\udcff",
    }
    return {f"token: {name}": {"MLFLOW_TRACKING_TOKEN": token} for name, token in odd.items()}


PROXIES = {
    "without scheme": "127.0.0.1:9",
    "with a login": f"http://user:{SECRET}@127.0.0.1:9",
    "login without scheme": f"user:{SECRET}@127.0.0.1:9",
    "socks": f"socks5://user:{SECRET}@127.0.0.1:9",
    "ftp": f"ftp://user:{SECRET}@127.0.0.1:9",
    "port": f"http://user:{SECRET}@127.0.0.1:port",
    "bracket": f"http://user:{SECRET}@[::1",
    "slash": f"http://user:pass/{SECRET}@127.0.0.1:9",
    "no host": "http://",
    "words": "use the proxy please",
}


@pytest.mark.parametrize("command", COMMANDS)
def test_tracking_uris(job: Job, command: str, tmp_path: Path) -> None:
    for what, odd in uris(job).items():
        for name, value in odd.items():
            job.environment.setenv(name, value)
        if what == "uri: project":
            job.environment.delenv("CI_PROJECT_ID")
        code, output = ends_well(job, command, tmp_path)
        assert code == 2, (what, output)
        assert "MLFLOW_TRACKING_URI" in output or "project" in output, (what, output)


@pytest.mark.parametrize("command", COMMANDS)
def test_tokens(job: Job, command: str, tmp_path: Path) -> None:
    job.server.lay("GET /healthz", {})
    for what, odd in tokens().items():
        for name, value in odd.items():
            job.environment.setenv(name, value)
        code, output = ends_well(job, command, tmp_path)
        assert code == (1 if command == "doctor" else 2), (what, output)
        assert "can't be a token" in output, (what, output)
        assert not job.server.asked or command == "doctor"


@pytest.mark.parametrize("around", ["{}\n", "{}\r\n", "\n{}", "  {}\t", "\u00a0{}\u2028"])
def test_white_space_around_a_token_is_not_of_it(job: Job, around: str) -> None:
    job.environment.setenv("MLFLOW_TRACKING_TOKEN", around.format(SECRET))
    job.server.lay(f"GET {job.base}/pipelines/1001/candidates", {"candidates": []})
    assert job.run("runs")[0] == 0
    assert job.server.asked[0].token == SECRET


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("what", PROXIES)
def test_proxies(job: Job, command: str, what: str, tmp_path: Path) -> None:
    job.environment.setenv("http_proxy", PROXIES[what])
    job.environment.setenv("no_proxy", "elsewhere.example.com")
    code, output = ends_well(job, command, tmp_path)
    assert code == (1 if command == "doctor" else code)
    assert "proxy" in output.lower()
    assert job.server.asked == []


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("password", IN_URLS)
def test_credentials_in_urls(job: Job, command: str, password: str, tmp_path: Path) -> None:
    scheme, _, rest = job.server.url.partition("://")
    login = f"{scheme}://someone:{password}@{rest}"
    for uri, server in ((f"{login}/api/v4/projects/42/ml/mlflow", None), ("", login)):
        job.environment.setenv("MLFLOW_TRACKING_URI", uri)
        more = () if server is None else ("--server", server)
        code, output = ends_well(job, command, tmp_path, *more)
        assert code in ({1} if command == "doctor" else {2, 3}), output
        if command == "detach":
            continue
        job.environment.setenv("MLTRAIL_SERVER", login)
        ends_well(job, command, tmp_path)
        job.environment.delenv("MLTRAIL_SERVER")


ANSWERS: dict[str, bytes] = {
    "html": b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n<html>Sign in</html>",
    "sign-in": b"HTTP/1.1 302 Found\r\nLocation: https://u:Hunter2-s3cr3t@sso.example.com/in?code=s3cr3t\r\n\r\n",
    "https": b"HTTP/1.1 301 Moved\r\nLocation: https://mltrail.example.com/\r\nContent-Length: 0\r\n\r\n",
    "loop": b"HTTP/1.1 308 Moved\r\nLocation: /\r\nContent-Length: 0\r\n\r\n",
    "bad location": b"HTTP/1.1 302 Found\r\nLocation: http://[::1\r\nContent-Length: 0\r\n\r\n",
    "407": b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n",
    "truncated": b'HTTP/1.1 200 OK\r\nContent-Length: 200\r\n\r\n{"state": ',
    "half json": b'HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{"state": ',
    "no utf-8": b'HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"a":"\xff"}',
    "deep": b"HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n" + b"[" * 200_000,
    "digits": b'HTTP/1.1 200 OK\r\nContent-Length: 5006\r\n\r\n{"a":' + b"9" * 5000 + b"}",
    "list": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]",
    "null": b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnull",
    "other json": b'HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n{"state": [{}]}',
    "gzip": b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nabcd",
    "no http": b"SSH-2.0-OpenSSH_9.6\r\n",
    "nothing": b"",
    "204": b"HTTP/1.1 204 No Content\r\n\r\n",
    "500": b"HTTP/1.1 500 Oops\r\nContent-Length: 4\r\n\r\noops",
    "message": b'HTTP/1.1 403 No\r\nContent-Length: 42\r\n\r\n{"message": "http://a:Hunter2-s3cr3t@b/\xe2\x80\xa8"}',
    "messages": b'HTTP/1.1 422 No\r\nContent-Length: 32\r\n\r\n{"message": {"name": ["is bad"]}}',
    "date": b"HTTP/1.1 200 OK\r\nDate: yesterday\r\nContent-Length: 2\r\n\r\n{}",
}


@contextlib.contextmanager
def answering(content: bytes) -> Iterator[str]:
    """What says the same to everybody, on a port of its own."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    caller, _ = listening.accept()
                    with caller, caller.makefile("rb") as asked:
                        # To the end: a connection that is closed with something unread is reset.
                        head = http.client.parse_headers(asked) if asked.readline() else {}
                        asked.read(int(head.get("Content-Length", 0)))
                        caller.sendall(content)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        with contextlib.suppress(OSError):
            listening.shutdown(socket.SHUT_RDWR)
    thread.join()


@pytest.mark.parametrize("what", ANSWERS)
def test_answers(job: Job, what: str, tmp_path: Path) -> None:
    with answering(ANSWERS[what]) as url:
        job.environment.setenv("MLFLOW_TRACKING_URI", f"{url}/api/v4/projects/42/ml/mlflow")
        for command in COMMANDS:
            code, output = ends_well(job, command, tmp_path)
            known = {0, 2, 3} if what in {"date", "other json"} else {3}
            assert code in ({0, 1} if command == "doctor" else known), (command, output)
            if what in {"sign-in", "html"} and command != "doctor":
                assert "login page" in output


@pytest.mark.parametrize("path", ["file/below", ".", "\0", "x" * 300, "/dev/full"])
@pytest.mark.parametrize("command", ["report", "promote", "card"])
def test_files_that_can_t_be_written(job: Job, command: str, path: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    job.server.lay(f"POST {job.base}/pipelines/1001/report", a_report())
    job.server.lay(f"POST {job.base}/promotions", {"promotions": [a_promotion()]})
    job.server.lay(f"GET {job.base}/models/churn/versions/champion/card", {"markdown": "#"})
    words = ["card", "churn", "--output"] if command == "card" else [command, "--dotenv"]
    code, _, error = job.run(*words, path)
    assert code == 2
    assert "Can't write" in error


@pytest.mark.parametrize(
    "name", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "MLFLOW_TRACKING_SERVER_CERT_PATH"]
)
@pytest.mark.parametrize("content", [None, "", "no certificate", "folder"])
def test_bundles(job: Job, name: str, content: str | None, tmp_path: Path) -> None:
    bundle = tmp_path / "bundle"
    if content == "folder":
        bundle.mkdir()
    elif content is not None:
        bundle.write_text(content)
    job.environment.setenv(name, str(bundle))
    job.environment.setenv("MLTRAIL_SERVER", job.server.url.replace("http:", "https:"))
    for command in ("runs", "doctor"):
        code, output = ends_well(job, command, tmp_path)
        assert code in {1, 2, 3}, output


@pytest.mark.parametrize(
    "words",
    [
        ["report", "--poll", "nan"],
        ["report", "--poll", "-1"],
        ["report", "--timeout", "inf"],
        ["winner", "--timeout", "-inf"],
        ["runs", "--pipeline", "9" * 5000],
        ["runs", "--pipeline", "٣"],
        ["promote", "--candidate", "9" * 5000],
        ["promote", "--candidate", "x"],
        ["runs", f"https://user:{SECRET}@host/"],
        ["runs", "--project", "a\nb"],
        ["card", "churn\udcff"],
        ["rollback", "\udcff"],
        ["verify", "\udcff"],
        ["nonsense"],
        [],
    ],
)
def test_options(job: Job, words: list[str]) -> None:
    try:
        code, out, error = job.run(*words)
    except SystemExit as left:
        captured = job.output.readouterr()
        code, out, error = int(str(left.code)), captured.out, captured.err
    assert code == 2
    assert "s3cr3t" not in out + error
    assert error


def test_a_fault_of_our_own_is_no_verdict(job: Job) -> None:
    def fail(*_: Any) -> int:
        raise RuntimeError(f"https://user:{SECRET}@host/ {SECRET}")

    job.environment.setattr("mltrail_ci.runs.run", fail)
    code, out, error = job.run("runs")
    assert (code, out, len(error.splitlines())) == (5, "", 1)
    assert "RuntimeError" in error
    assert "MLTRAIL_DEBUG=1" in error
    job.environment.setenv("MLTRAIL_DEBUG", "1")
    error = job.run("runs")[2]
    assert "Traceback" in error
    assert "test_odd_environments" in error
    assert SECRET not in error


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("see https://a:b@host/x and http://c@d:8/", "see https://host/x and http://d:8/"),
        ("https://a:b%40c@host", "https://host"),
        ("?next=https%3A%2F%2Fa%3Ab%40host%2Fx&mail=c%40d", "?next=https%3A%2F%2Fhost%2Fx&mail=c%40d"),
        ("https://host/models/churn@champion", "https://host/models/churn@champion"),
        ('{"url": "https://host", "mail": "a@b"}', '{"url": "https://host", "mail": "a@b"}'),
        ("git@host:team/churn", "git@host:team/churn"),
    ],
)
def test_only_credentials_are_cut_out(text: str, shown: str) -> None:
    assert hidden(text) == shown


def test_a_proxys_login_is_sent_to_it(job: Job) -> None:
    address = job.server.url.partition("://")[2]
    job.environment.setenv("http_proxy", f"user:p%40ss@{address}")
    job.environment.setenv("no_proxy", "")
    job.environment.setenv("NO_PROXY", "")
    content = b'HTTP/1.1 200 OK\r\nContent-Length: 18\r\n\r\n{"candidates": []}'
    seen: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            caller, _ = listening.accept()
            with caller:
                seen.append(caller.recv(65536))
                caller.sendall(content)

        thread = threading.Thread(target=serve)
        thread.start()
        job.environment.setenv("http_proxy", f"user:p%40ss@127.0.0.1:{listening.getsockname()[1]}")
        assert job.run("runs", "--server", "http://mltrail.internal")[0] == 0
        thread.join()
    login = base64.b64encode(b"user:p@ss")
    assert b"proxy-authorization: basic " + login.lower() in seen[0].lower()


@pytest.mark.parametrize(
    ("no_proxy", "url", "goes"),
    [
        ("10.0.0.0/8", "http://10.1.2.3:5", "direct"),
        ("10.0.0.0/8", "http://11.1.2.3", "proxy"),
        ("10.0.0.0/0", "http://11.1.2.3", "proxy"),
        ("10.1.2.3", "http://10.1.2.3", "direct"),
        ("10.1.2", "http://10.1.2.3", "proxy"),
        ("example.com", "http://mltrail.example.com", "direct"),
        (".example.com", "http://mltrail.example.com", "direct"),
        (".example.com", "http://example.com", "direct"),
        ("example.com", "http://badexample.com", "proxy"),
        ("EXAMPLE.com", "http://mltrail.Example.com", "direct"),
        ("example.com:5000", "http://example.com:5000", "direct"),
        ("example.com:5000", "http://example.com", "proxy"),
        ("a, b ,example.com", "http://example.com", "direct"),
        ("*", "http://example.com", "direct"),
        ("", "http://example.com", "proxy"),
        ("::1", "http://[::1]:5", "direct"),
        ("fe80::/10", "http://[fe80::1]", "proxy"),
        ("10.0.0.0/99", "http://10.1.2.3", "proxy"),
    ],
)
@pytest.mark.parametrize("variable", ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"])
def test_the_way_is_that_of_requests(job: Job, no_proxy: str, url: str, goes: str, variable: str) -> None:
    """Held against requests itself, which MLflow's client uses."""
    job.environment.delenv("NO_PROXY", raising=False)
    job.environment.setenv("no_proxy", no_proxy)
    job.environment.setenv(variable, "proxy.example.com:3128")
    theirs = requests.utils.select_proxy(url, requests.utils.get_environ_proxies(url))
    ours = proxies.of(url)
    assert ("proxy" if ours else "direct") == goes
    if no_proxy != "EXAMPLE.com":  # which older ones of requests tell from example.com
        assert bool(ours) == bool(theirs)
    assert os.environ[variable]


def a_certificate(folder: Path) -> Path:
    """A certificate of 127.0.0.1 and its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mltrail.test")])
    now = datetime.now(UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file = folder / "certificate.pem"
    file.write_bytes(built.public_bytes(serialization.Encoding.PEM) + private)
    return file


@pytest.mark.parametrize(
    ("variables", "trusted"),
    [
        ({}, False),
        ({"SSL_CERT_FILE": "{file}"}, True),
        ({"REQUESTS_CA_BUNDLE": "{file}"}, True),
        ({"CURL_CA_BUNDLE": "{file}"}, True),
        ({"MLFLOW_TRACKING_SERVER_CERT_PATH": "{file}"}, True),
        ({"REQUESTS_CA_BUNDLE": "/nowhere"}, False),
        ({"SSL_CERT_FILE": "{file}", "MLFLOW_TRACKING_CLIENT_CERT_PATH": "{file}"}, True),
    ],
)
def test_an_authority_of_ones_own(job: Job, tmp_path: Path, variables: dict[str, str], trusted: bool) -> None:
    file = a_certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    http = job.server.start(context)
    try:
        for name, value in variables.items():
            job.environment.setenv(name, value.format(file=file))
        job.server.lay(f"GET {job.base}/pipelines/1001/candidates", {"candidates": []})
        code, _, error = job.run("runs", "--server", job.server.url)
        assert (code == 0) is trusted, error
        if not trusted:
            assert code == 3
            assert ("which does not exist" if variables else "SSL_CERT_FILE") in error
    finally:
        http.shutdown()
        http.server_close()


def test_a_certificate_of_ones_own_that_is_none(job: Job, tmp_path: Path) -> None:
    job.environment.setenv("MLFLOW_TRACKING_CLIENT_CERT_PATH", str(tmp_path / "missing"))
    code, _, error = job.run("runs", "--server", "https://127.0.0.1:9")
    assert (code, "MLFLOW_TRACKING_CLIENT_CERT_PATH" in error) == (2, True)


def test_a_failure_leaves_no_empty_reports(job: Job, tmp_path: Path) -> None:
    """GitLab would say that a report is broken, where there is none."""
    code, _ = ends_well(job, "promote", tmp_path)
    assert code == 3
    assert list((tmp_path / "out").iterdir()) == []


def test_a_bot_that_sees_no_project_has_to_become_a_member(job: Job) -> None:
    job.server.lay(
        f"GET {job.base}/pipelines/1001/candidates",
        {"message": "GitLab has no such project 42, or does not show it to this token."},
        status=404,
    )
    assert "bot, which has to be a member" in job.run("runs")[2]


def test_plain_words_are_not_taken_for_secrets(job: Job, tmp_path: Path) -> None:
    """Addresses in files would lead nowhere."""
    job.environment.setenv("DATABASE_URL", "postgresql://mltrail:example@db/mlflow")
    job.environment.setenv("SSH_URL", "ssh://gitlab@gitlab.example.com")
    job.environment.setenv("MLFLOW_TRACKING_PASSWORD", "champion")
    job.environment.setenv("https_proxy", "http://promotion:mltrail@127.0.0.1:9")
    job.server.lay(f"POST {job.base}/promotions", {"promotions": [a_promotion()]})
    code, output, _ = job.run("promote", "--dotenv", str(tmp_path / "env"))
    assert (code, "[hidden]" in output) == (0, False)
    written = (tmp_path / "env").read_text()
    assert f"MLTRAIL_VERSION_URL={a_promotion()['url']}\n" in written
    assert "MLTRAIL_ALIAS=champion\n" in written
