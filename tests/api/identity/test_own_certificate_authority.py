"""A self-managed GitLab whose certificate is of the company's own authority: `REQUESTS_CA_BUNDLE` names it.

https://requests.readthedocs.io/en/latest/user/advanced/#ssl-cert-verification
"""

import datetime as dt
import ipaddress
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from mltrail_server import worker
from mltrail_server.app import create_app, create_deps
from mltrail_server.domain.clock import system_clock
from mltrail_server.domain.errors import MltrailError
from mltrail_server.services.admin import doctor_gitlab
from mltrail_server.services.admin.checks import Doubt
from mltrail_server.settings import Settings
from tests.clock import FrozenClock
from tests.fakes.gitlab import FakeGitLab
from tests.mlflow_client import Mlflow
from tests.team import EXTERNAL_URL

BACKENDS = ("sqlite",)


def certificate(
    name: str,
    key: ec.EllipticCurvePrivateKey,
    issuer: str,
    signer: ec.EllipticCurvePrivateKey,
    *,
    ca: bool,
    ends: dt.timedelta = dt.timedelta(1),
) -> x509.Certificate:
    now = dt.datetime.now(dt.UTC)
    named = [x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, one)]) for one in (name, issuer)]
    usage = x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=ca,
        crl_sign=ca,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
    builder = x509.CertificateBuilder(
        named[1], named[0], key.public_key(), x509.random_serial_number(), now - dt.timedelta(1), now + ends
    )
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    return (
        builder.add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(address, critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
        .sign(signer, hashes.SHA256())
    )


def make_authority(tmp_path: Path, ends: dt.timedelta = dt.timedelta(1)) -> tuple[Path, ssl.SSLContext]:
    """Return the authority's file, and what a server with a certificate of it serves with."""
    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    files = {
        "ca.pem": certificate("Own CA", ca_key, "Own CA", ca_key, ca=True).public_bytes(serialization.Encoding.PEM),
        "gitlab.pem": certificate("gitlab", key, "Own CA", ca_key, ca=False, ends=ends).public_bytes(
            serialization.Encoding.PEM
        ),
        "gitlab.key": key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ),
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "gitlab.pem", tmp_path / "gitlab.key")
    return tmp_path / "ca.pem", context


@pytest.fixture
def authority(tmp_path: Path) -> tuple[Path, ssl.SSLContext]:
    return make_authority(tmp_path)


@pytest.fixture
def gitlab(authority: tuple[Path, ssl.SSLContext], clock: FrozenClock) -> Iterator[FakeGitLab]:
    with FakeGitLab(clock=lambda: clock() / 1000, tls=authority[1]) as running:
        yield running


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # a connection that the check of its certificate has ended
@pytest.mark.parametrize("trusted", [True, False])
def test_it_is_trusted_by_the_variable_and_not_without(
    gitlab: FakeGitLab,
    authority: tuple[Path, ssl.SSLContext],
    clock: FrozenClock,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    trusted: bool,
) -> None:
    if trusted:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority[0]))
    project, user, bot = gitlab.add_project("team/churn", id=42), gitlab.add_user("dana"), gitlab.add_user("bot")
    for one, level in ((user, 30), (bot, 20)):
        gitlab.add_member(project, one, level)
    sha = gitlab.add_commit(project, "a1" * 20, branch="main")
    gitlab.add_commit(project, "b2" * 20, parents=(sha,), branch="faster")
    request = gitlab.add_merge_request(project, "faster", "main", "Learn faster")
    ref = f"refs/merge-requests/{request.iid}/head"
    pipeline = gitlab.add_pipeline(project, "b2" * 20, ref, "merge_request_event")
    job = gitlab.add_job(pipeline, "train", "train", user, "running")
    settings = Settings(
        data_dir=str(tmp_path / "data"),
        secret_key="key-of-the-tests",
        external_url=EXTERNAL_URL,
        gitlab_url=gitlab.url,
        gitlab_token=gitlab.add_token(bot, ["api"]),
    )
    deps = create_deps(settings, clock=clock)
    client = create_app(deps).test_client()
    tokens = (gitlab.mint(job, EXTERNAL_URL), job.token, gitlab.add_token(user, ["api"]))
    asked = [Mlflow(client, project="42", token=one) for one in tokens]
    if trusted:
        for mlflow in asked:
            mlflow.get("experiments/get", experiment_id="0")
        run = asked[0].post("runs/create", experiment_id="0")["run"]["info"]["run_id"]
        asked[0].post("runs/log-metric", run_id=run, key="accuracy", value=0.5, timestamp=1)
        asked[0].post("runs/update", run_id=run, status="FINISHED")
        gitlab.set_job(job, "success")
        clock.advance(15_000)
        worker.run_once(deps)
        assert len(gitlab.notes(project, request.iid)) == 1
    else:
        for mlflow in asked:
            assert mlflow.error("GET", "experiments/get", experiment_id="0")[0] == 503
    deps.db.dispose()


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_the_doctor_trusts_the_same_authorities(
    gitlab: FakeGitLab, authority: tuple[Path, ssl.SSLContext], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(Doubt, match="is not valid here"):
        doctor_gitlab.certificate(gitlab.url, system_clock)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority[0]))
    with pytest.raises(Doubt, match="in 1 days: renew it"):
        doctor_gitlab.certificate(gitlab.url, system_clock)


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_a_certificate_that_has_expired_is_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority, context = make_authority(tmp_path, ends=dt.timedelta(hours=-1))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority))
    with FakeGitLab(tls=context) as gitlab, pytest.raises(MltrailError, match="has expired: renew it"):
        doctor_gitlab.certificate(gitlab.url, system_clock)
