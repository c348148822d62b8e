"""A server that is read may be anybody's: it gets no more than it was given, and leads an import nowhere."""

import gzip
from collections.abc import Iterator
from pathlib import Path

import pytest
from werkzeug import Request, Response

from mltrail_server.domain.terminal import plain_lines
from mltrail_server.sources.downloads import open_file
from mltrail_server.sources.http import LostError, Rest
from mltrail_server.sources.redirects import leads_inside
from tests.fakes.stubborn import Stubborn

BOMB = gzip.compress(b" " * (65 * 1024**2), 1)


@Request.application
def _hostile(request: Request) -> Response:
    if request.path == "/elsewhere":
        return Response(status=302, headers={"Location": request.args["to"]})
    if request.path == "/bomb":
        return Response(BOMB, headers={"Content-Encoding": "gzip"}, content_type="application/json")
    if request.path == "/failing-bomb":
        return Response(BOMB, 400, headers={"Content-Encoding": "gzip"}, content_type="application/json")
    if request.path == "/deep":
        return Response("[" * 100_000, content_type="application/json")
    return Response(b"0123456789" * 1_000_000)


@pytest.fixture
def server() -> Iterator[tuple[Stubborn, str]]:
    fake = Stubborn(_hostile)
    with fake.serving() as serving:
        yield fake, serving.url


def test_a_redirect_leads_no_further_inside_than_the_server_is(server: tuple[Stubborn, str]) -> None:
    fake, url = server
    with pytest.raises(LostError, match=r"closer to this machine.*169\.254\.169\.254"):
        open_file(Rest(url), "elsewhere", {"to": "http://169.254.169.254/latest/meta-data/"})
    assert len(fake.asked) == 1


@pytest.mark.parametrize(
    ("there", "inside"),
    [
        ("https://8.8.4.4/file", False),
        ("http://8.8.8.8:9000/file", False),
        ("http://10.0.0.1/", True),
        ("http://100.100.100.200/", True),
        ("http://127.0.0.1:5000/", True),
        ("http://0.0.0.0/", True),
        ("http://[::1]/", True),
        ("http://[::ffff:169.254.169.254]/", True),
        ("http://2130706433/", True),
        ("http://[fd00:ec2::254]/", True),
        ("http://no-such-host.invalid/", False),
    ],
)
def test_how_far_inside_an_address_is(there: str, *, inside: bool) -> None:
    assert leads_inside("https://8.8.8.8", there) is inside


def test_a_private_server_may_lead_to_a_private_bucket() -> None:
    assert not leads_inside("https://10.0.0.1", "https://192.168.0.7:9000/bucket")
    assert leads_inside("https://10.0.0.1", "http://127.0.0.1/")


def test_other_hosts_are_asked_as_nobody(
    server: tuple[Stubborn, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake, url = server
    (tmp_path / "netrc").write_text("machine localhost login operator password secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))

    with open_file(Rest(url), "elsewhere", {"to": f"{url.replace('127.0.0.1', 'localhost')}/file"}) as file:
        assert file.read(10) == b"0123456789"

    assert fake.tokens == ["", ""]


@pytest.mark.parametrize(
    ("path", "why"), [("bomb", "was not read"), ("failing-bomb", "answered 400"), ("deep", "nested too deeply")]
)
def test_a_response_that_would_fill_the_memory_is_not_read(server: tuple[Stubborn, str], path: str, why: str) -> None:
    fake, url = server
    with pytest.raises(LostError, match=why):
        Rest(url).get(path)
    assert len(fake.asked) == 1


def test_a_file_is_not_read_beyond_its_size(server: tuple[Stubborn, str]) -> None:
    _, url = server
    with open_file(Rest(url), "file", size=10) as file, pytest.raises(LostError, match="of a file with 10"):
        file.read(1_000_000)


def test_what_a_server_says_cannot_steer_a_terminal() -> None:
    assert plain_lines("a\x1b]0;title\x07b\nc") == "a\\x1b]0;title\\x07b\nc"
