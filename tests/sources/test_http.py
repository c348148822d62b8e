"""What a reader does when the server that it reads has trouble. Over real connections; only the pauses are not real."""

import datetime as dt
import ipaddress
import json
import ssl
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from werkzeug import Request, Response

from mltrail_server.domain.errors import MltrailError
from mltrail_server.domain.transfer import GoneError
from mltrail_server.sources.credentials import Credentials
from mltrail_server.sources.downloads import open_file
from mltrail_server.sources.http import LostError, Rest
from mltrail_server.sources.paging import pages
from mltrail_server.sources.patience import Patience
from tests.fakes.gitlab.serving import Serving
from tests.fakes.stubborn import LOGIN_PAGE, Fault, Handler, Stubborn, cut, short, status
from tests.processes import free_port

FILE = bytes(range(256)) * 4096
NOW_MS = 1_796_000_000_000


@dataclass
class Rig:
    fake: Stubborn
    url: str
    pauses: list[float] = field(default_factory=list)

    def rest(self, credentials: Credentials | None = None, url: str = "") -> Rest:
        patience = Patience(sleep=self.pauses.append, chance=lambda: 1.0, clock=lambda: NOW_MS)
        return Rest(url or self.url, credentials, patience=patience)


@Request.application
def _small_server(request: Request) -> Response:
    if request.path == "/plain/file":
        return Response(FILE)
    if request.path == "/file":
        return Response(FILE, headers={"ETag": '"1"'}).make_conditional(
            request.environ, accept_ranges=True, complete_length=len(FILE)
        )
    if request.path.endswith("/elsewhere"):
        return Response(status=302, headers={"Location": request.args["to"]})
    return Response(json.dumps({"path": request.path}), content_type="application/json")


@pytest.fixture
def rig() -> Iterator[Rig]:
    fake = Stubborn(_small_server)
    with fake.serving() as server:
        yield Rig(fake, server.url)


@pytest.mark.parametrize("code", [429, 500, 502, 503, 504])
def test_what_passes_is_tried_again_after_growing_pauses(rig: Rig, code: int) -> None:
    rig.fake.faults = [Fault("/thing", status(code), times=3)]
    assert rig.rest().get("thing") == {"path": "/thing"}
    assert rig.pauses == [1, 2, 4]


@pytest.mark.parametrize(
    ("header", "pause"),
    [
        ("7", 7),
        ("0", 0),
        ("100000", 600),
        ("Mon, 30 Nov 2026 00:53:50 GMT", 30),
        ("soon", 1),
    ],
)
def test_retry_after_is_obeyed_within_limits(rig: Rig, header: str, pause: float) -> None:
    rig.fake.faults = [Fault("/thing", status(429, Retry_After=header), times=1)]
    rig.rest().get("thing")
    assert rig.pauses == [pause]


@pytest.mark.parametrize("code", [500, 503])
def test_what_does_not_pass_is_lost_and_the_rest_can_be_read(rig: Rig, code: int) -> None:
    rig.fake.faults = [
        Fault("/thing", status(code, '{"message": "no such\\n table"}', content_type="application/json"))
    ]
    rest = rig.rest()
    with pytest.raises(LostError) as lost:
        rest.get("thing")
    assert lost.value.message == f"The server answered {code} to GET /thing: no such table"
    assert lost.value.status == code
    assert len(rig.fake.asked) == {500: 4, 503: 7}[code]
    assert rest.get("other") == {"path": "/other"}


def test_a_server_that_only_fails_is_gone(rig: Rig) -> None:
    rig.fake.faults = [Fault("", status(500))]
    rest = rig.rest()
    for number in range(4):
        with pytest.raises(LostError):
            rest.get(f"thing/{number}")
    with pytest.raises(GoneError, match="5 in a row"):
        rest.get("thing/5")


def test_a_server_that_fails_in_one_thing_only_is_not_gone_nor_waited_for(rig: Rig) -> None:
    rig.fake.faults = [Fault("/file", status(500))]
    rest = rig.rest()
    rest.probe = lambda: rest.ask_once("GET", "health")
    for _ in range(20):
        with pytest.raises(LostError):
            rest.get("file")
    assert len(rig.pauses) == 5 * 3
    assert rest.get("thing")


def test_a_server_that_is_not_there_is_gone(rig: Rig) -> None:
    rest = rig.rest(url=f"http://127.0.0.1:{free_port()}")
    with pytest.raises(GoneError, match="Is the server running"):
        rest.get("thing")
    assert rig.pauses == [1, 2, 4, 8, 16, 32]


@pytest.mark.parametrize("code", [400, 404, 501])
def test_what_cannot_pass_is_not_tried_again(rig: Rig, code: int) -> None:
    body = json.dumps({"error_code": "ENDPOINT_NOT_FOUND", "message": "never heard of it"})
    rig.fake.faults = [Fault("/thing", status(code, body, content_type="application/json"))]
    with pytest.raises(LostError) as lost:
        rig.rest().get("thing")
    assert (lost.value.status, lost.value.error_code) == (code, "ENDPOINT_NOT_FOUND")
    assert len(rig.fake.asked) == 1


@pytest.mark.parametrize("how", [cut, short], ids=["connection breaks", "ends early"])
def test_a_broken_body_is_read_again(rig: Rig, how: Handler) -> None:
    rig.fake.faults = [Fault("/thing", how, times=2)]
    assert rig.rest().get("thing") == {"path": "/thing"}
    rig.fake.faults = [Fault("/thing", how)]
    with pytest.raises(LostError, match="broke"):
        rig.rest().get("thing")


def test_a_web_page_is_not_data(rig: Rig) -> None:
    rig.fake.faults = [Fault("/thing", status(200, LOGIN_PAGE, content_type="text/html; charset=utf-8"))]
    with pytest.raises(LostError, match=r"web page instead of data.* MLTRAIL_IMPORT_TOKEN"):
        rig.rest().get("thing")
    assert len(rig.fake.asked) == 1


def test_a_redirect_to_a_login_is_not_followed(rig: Rig) -> None:
    with pytest.raises(LostError, match=r"redirects to http://.*/login, perhaps to sign in.* MLTRAIL_IMPORT_TOKEN"):
        rig.rest().get("elsewhere", {"to": "/login?secret=1"})
    assert len(rig.fake.asked) == 1


@pytest.mark.parametrize(("code", "error"), [(401, GoneError), (403, LostError)])
def test_who_is_not_let_in_learns_how_to_give_a_token(rig: Rig, code: int, error: type[MltrailError]) -> None:
    rig.fake.faults = [Fault("/thing", status(code))]
    with pytest.raises(error, match="MLTRAIL_IMPORT_TOKEN"):
        rig.rest().get("thing")
    with pytest.raises(error, match="is not accepted"):
        rig.rest(Credentials(token="a-token")).get("thing")


@pytest.mark.parametrize(
    ("user", "credentials", "sent"),
    [
        ("", Credentials(token="a-token"), "Bearer a-token"),
        ("", Credentials(username="ada", password="pâss"), "Basic YWRhOnDDonNz"),
        ("ada:p%C3%A2ss@", None, "Basic YWRhOnDDonNz"),
        ("a-token@", None, "Bearer a-token"),
        ("ada:other@", Credentials(token="a-token"), "Bearer a-token"),
    ],
)
def test_credentials_come_from_arguments_or_the_url(
    rig: Rig, user: str, credentials: Credentials | None, sent: str
) -> None:
    rest = rig.rest(credentials, rig.url.replace("//", f"//{user}") + "/")
    rest.get("thing")
    assert rest.url == rig.url
    assert rig.fake.tokens == [sent]


def _own_certificate(folder: Path) -> tuple[str, ssl.SSLContext]:
    """Make the certificate of an authority of one's own, and what a server serves with."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "own")])
    day, now = dt.timedelta(1), dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now - day, now + day)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    (folder / "own.pem").write_bytes(made.public_bytes(pem))
    (folder / "own.key").write_bytes(key.private_bytes(pem, pkcs8, serialization.NoEncryption()))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "own.pem", folder / "own.key")
    return str(folder / "own.pem"), context


def test_certificates_are_verified_unless_that_is_turned_off(tmp_path: Path) -> None:
    authority, context = _own_certificate(tmp_path)
    with Serving(_small_server, tls=context) as server:
        with pytest.raises(GoneError, match="MLFLOW_TRACKING_SERVER_CERT_PATH"):
            Rest(server.url).get("thing")
        assert Rest(server.url, verify=authority).get("thing") == {"path": "/thing"}
        assert Rest(server.url, verify=False).get("thing") == {"path": "/thing"}


def test_no_error_contains_a_token(rig: Rig) -> None:
    said = json.dumps({"message": 'user ada with pa"ss/word and pa%22ss%2Fword is not known'})
    rig.fake.faults = [Fault("/thing", status(400, said, content_type="application/json"))]
    rest = rig.rest(url=rig.url.replace("//", "//ada:pa%22ss%2Fword@"))
    with pytest.raises(LostError) as lost:
        rest.get("thing")
    assert lost.value.message == "The server answered 400 to GET /thing: user ada with … and … is not known"
    assert "ss" not in repr(Credentials(password="pass"))


@pytest.mark.parametrize("url", ["", "mlflow.example.com", "ftp://mlflow.example.com", "https://", "http://a:b/"])
def test_what_is_no_url_of_a_server_is_refused(rig: Rig, url: str) -> None:
    with pytest.raises(MltrailError, match="not the URL of a server"):
        Rest(url)


def test_a_file_is_read_as_it_is(rig: Rig) -> None:
    with open_file(rig.rest(), "file", size=len(FILE)) as file:
        assert file.read(10) == FILE[:10]
        assert file.read() == FILE[10:]
        assert file.read() == b""


@pytest.mark.parametrize("pattern", ["/file", "/plain/file"], ids=["with ranges", "without ranges"])
def test_a_file_that_breaks_off_goes_on_where_it_was(rig: Rig, pattern: str) -> None:
    rig.fake.faults = [Fault(pattern, cut, times=2)]
    with open_file(rig.rest(), pattern, size=len(FILE)) as file:
        assert file.read() == FILE
    assert rig.pauses == [1, 2]


def test_a_file_that_always_breaks_off_is_lost(rig: Rig) -> None:
    rig.fake.faults = [Fault("/plain/file", cut)]
    with open_file(rig.rest(), "plain/file") as file, pytest.raises(LostError, match="broke"):
        file.read()


def test_a_file_that_was_replaced_meanwhile_is_lost(rig: Rig) -> None:
    other = status(200, "another file", ETag='"2"')
    rig.fake.faults = [Fault("/file", cut, times=1), Fault("/file", other)]
    with open_file(rig.rest(), "file") as file, pytest.raises(LostError, match="replaced"):
        file.read()


def test_a_file_with_another_size_than_announced_is_lost(rig: Rig) -> None:
    rig.fake.faults = [Fault("/file", short)]
    with (
        open_file(rig.rest(), "file", size=len(FILE)) as file,
        pytest.raises(LostError, match=f"{len(FILE) // 2} bytes of a file with {len(FILE)}"),
    ):
        file.read()


def test_a_file_elsewhere_is_read_without_our_token(rig: Rig) -> None:
    other = Stubborn(_small_server)
    with other.serving() as elsewhere:
        url = f"{elsewhere.url}/file?signature=1"
        with open_file(rig.rest(Credentials(token="a-token")), "elsewhere", {"to": url}) as file:
            assert file.read() == FILE
    assert (rig.fake.tokens, other.tokens) == (["Bearer a-token"], [""])


def test_a_login_page_is_not_taken_for_the_file(rig: Rig) -> None:
    rig.fake.faults = [Fault("/login", status(200, LOGIN_PAGE, content_type="text/html"))]
    with pytest.raises(LostError, match="perhaps to sign in"):
        open_file(rig.rest(), "elsewhere", {"to": "/login"})


@pytest.mark.parametrize(
    ("found", "announced", "read", "sentence"),
    [
        ({"": ([1, 2], "a"), "a": ([3], "")}, 3, [1, 2, 3], ""),
        ({"": ([1], "a"), "a": ([], "b"), "b": ([2], "")}, None, [1, 2], ""),
        ({"": ([1], "a"), "a": ([2], "b"), "b": ([3], "a")}, None, [1, 2, 3], "a page of runs twice"),
        ({"": ([1], "a"), "a": ([2], "a")}, None, [1, 2], "a page of runs twice"),
        ({"": ([1], "a"), "a": ([], "b"), "b": ([], "c"), "c": ([], "d")}, None, [1], "3 empty pages of runs"),
        ({"": ([1, 2], "")}, 3, [1, 2], "announced 3 runs but returned only 2"),
    ],
)
def test_lists_that_cannot_be_complete_say_so(
    found: dict[str, tuple[list[int], str]], announced: int | None, read: list[int], sentence: str
) -> None:
    got: list[int] = []

    def read_all() -> None:
        for page in pages(found.__getitem__, "runs", announced=announced):
            got.extend(page)

    if sentence:
        with pytest.raises(LostError, match=sentence):
            read_all()
    else:
        read_all()
    assert got == read
