"""Images are signed by digest in their registry, and their SBOM is attached: with cosign, and Debian's registry."""

import json
from pathlib import Path

from mltrail_ci import __version__
from tests.packaging.image_registry import image_registry, push
from tests.packaging.release_tools import run, trusted_root
from tests.places import ROOT


def test_images_are_signed_by_digest_with_their_sbom(tmp_path: Path) -> None:
    with image_registry(tmp_path / "registry") as registry:
        sign_and_verify(registry, tmp_path)


def sign_and_verify(registry: str, tmp_path: Path) -> None:
    digests = {name: push(f"{registry}/v2/mltrail/{name}", __version__) for name in ("cli", "server")}
    folder = tmp_path / "dist"
    folder.mkdir()
    for name in digests:
        bom = {"bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1, "metadata": {"component": {"name": name}}}
        (folder / f"mltrail-{__version__}.{name}-image.cdx.json").write_text(json.dumps(bom))
    assert run("cosign", "generate-key-pair", cwd=tmp_path, COSIGN_PASSWORD="right").returncode == 0
    key = {"COSIGN_PRIVATE_KEY": (tmp_path / "cosign.key").read_text(), "COSIGN_PASSWORD": "right"}
    variables = key | {"CI_REGISTRY_IMAGE": f"{registry}/mltrail"}
    for script in ("image_digests", "sign"):
        ran = run(ROOT / ".ci" / script, folder, **variables)
        assert ran.returncode == 0, ran.stdout + ran.stderr
    lines = dict(line.split() for line in (folder / "images.txt").read_text().splitlines())
    assert lines == {name: f"{registry}/mltrail/{name}@{digest}" for name, digest in digests.items()}

    check = ["--key", folder / "cosign.pub", "--private-infrastructure", "--trusted-root", trusted_root(tmp_path)]
    verified = run("cosign", "verify", *check, f"{registry}/mltrail/server:{__version__}")
    assert verified.returncode == 0, verified.stderr
    assert json.loads(verified.stdout)[0]["critical"]["image"]["docker-manifest-digest"] == digests["server"]
    attested = run("cosign", "verify-attestation", *check, "--type", "cyclonedx", lines["server"])
    assert attested.returncode == 0, attested.stderr
    push(f"{registry}/v2/mltrail/other", __version__)
    assert run("cosign", "verify", *check, f"{registry}/mltrail/other:{__version__}").returncode != 0
