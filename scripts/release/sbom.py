"""Write a software bill of materials (CycloneDX 1.6), with licences and hashes, checked against CycloneDX's schema.

python -m scripts.release.sbom wheel WHEEL OUT LOCK…      the wheel, what is bundled in it, and its locked dependencies
python -m scripts.release.sbom image NAME VERSION ROOT OUT   an image, by the files of its root file system

A lock file says which packages and bytes, their own metadata says under which licence; so packages of a lock are
installed into a folder of their own. The same commit gives the same bytes.
"""

import hashlib
import json
import re
import subprocess
import sys
import tempfile
import uuid
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email import message_from_string
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any

from cyclonedx.schema import SchemaVersion
from cyclonedx.spdx import fixup_id, is_expression
from cyclonedx.validation.json import JsonStrictValidator
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from scripts.release import build

_PIN = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)==(?P<version>[^\s;\\]+)(?P<rest>(?:.*\\\n)*.*)$", re.MULTILINE)
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")
_MARKER = re.compile(r"^ ; ([^\\\n]+?) *\\?$", re.MULTILINE)
_COPYRIGHT = re.compile(r"^License: *(\S[^\n]*)$", re.MULTILINE)
# Classifiers that name one licence; "BSD License", for instance, could be several.
_CLASSIFIERS = {
    "Apache Software License": "Apache-2.0",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "MIT No Attribution License (MIT-0)": "MIT-0",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
}


class SbomError(Exception):
    """A document that would not be complete or valid."""


@dataclass(frozen=True)
class Pin:
    """A line of a lock file."""

    name: str
    version: str
    hashes: tuple[str, ...]
    marker: str | None


@dataclass
class Bom:
    """What goes into a document. Components are by their purl, which is also their reference."""

    main: dict[str, Any]
    components: dict[str, dict[str, Any]] = field(default_factory=dict)
    needs: dict[str, set[str]] = field(default_factory=dict)

    def add(self, component: dict[str, Any], needs: Iterable[str] = ()) -> None:
        self.components[component["purl"]] = {"bom-ref": component["purl"]} | component
        self.needs[component["purl"]] = set(needs)

    def text(self) -> str:
        """The document. Raises `SbomError` if CycloneDX's schema refuses it, or if a component has no licence."""
        if unlicensed := [purl for purl, one in self.components.items() if not one["licenses"]]:
            raise SbomError(f"No licence is stated by {', '.join(unlicensed)}.")
        needed = {one for needs in self.needs.values() for one in needs}
        direct = sorted(self.components.keys() - needed)
        body = {
            "metadata": {
                "timestamp": datetime.fromtimestamp(build.commit_time(), UTC).isoformat().replace("+00:00", "Z"),
                "tools": {"components": [{"type": "application", "name": "mltrail scripts.release.sbom"}]},
                "component": self.main,
            },
            "components": [self.components[purl] for purl in sorted(self.components)],
            "dependencies": [
                {"ref": self.main["bom-ref"], "dependsOn": direct},
                *({"ref": purl, "dependsOn": sorted(self.needs[purl])} for purl in sorted(self.components)),
            ],
        }
        serial = uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(body, sort_keys=True))
        head = {"bomFormat": "CycloneDX", "specVersion": "1.6", "serialNumber": serial.urn, "version": 1}
        text = json.dumps(head | body, indent=1) + "\n"
        if error := JsonStrictValidator(SchemaVersion.V1_6).validate_str(text):
            raise SbomError(f"Not a valid CycloneDX document: {error}")
        return text


def wheel(path: Path, locks: Iterable[Path]) -> str:
    """The document of a wheel. It was tested with what its images' lock files pin."""
    with zipfile.ZipFile(path) as archive:
        (name,) = (one for one in archive.namelist() if one.endswith(".dist-info/METADATA"))
        metadata = archive.read(name).decode()
        bundled = json.loads(archive.read(name.replace("METADATA", "sboms/bundled.cdx.json")))
    version = message_from_string(metadata)["Version"]
    bom = Bom(_ours("library", "mltrail", version, hashlib.sha256(path.read_bytes()).hexdigest()))
    for component in bundled["components"]:
        bom.add(component)
    pins = {(pin.name, pin.version): pin for lock in locks for pin in pinned(lock)}
    with tempfile.TemporaryDirectory() as scratch:
        for lock in locks:
            _install(lock, Path(scratch))
        _add_python(bom, Path(scratch), pins)
    return bom.text()


def image(name: str, version: str, root: Path) -> str:
    """The document of an image: Debian's packages, Python's, and what is bundled in our wheel."""
    bom = Bom(_ours("container", f"mltrail/{name}", version, None))
    for fields in _debian(root):
        bom.add(_debian_component(fields, root))
    (site,) = (root / "usr/local/lib").glob("python3*/dist-packages")
    _add_python(bom, site, {})
    (bundled,) = site.glob("mltrail-*.dist-info/sboms/bundled.cdx.json")
    for component in json.loads(bundled.read_text())["components"]:
        bom.add(component)
    return bom.text()


def pinned(lock: Path) -> Iterator[Pin]:
    """The lines of a lock file that `uv pip compile --generate-hashes` has written."""
    for found in _PIN.finditer(lock.read_text()):
        marker = _MARKER.search(found["rest"])
        hashes = tuple(sorted(_HASH.findall(found["rest"])))
        yield Pin(canonicalize_name(found["name"]), found["version"], hashes, marker[1] if marker else None)


def _add_python(bom: Bom, site: Path, pins: dict[tuple[str, str], Pin]) -> None:
    installed = {canonicalize_name(one.metadata["Name"]): one for one in distributions(path=[str(site)])}
    purls = {name: f"pkg:pypi/{name}@{one.version}" for name, one in installed.items()}
    for name, one in installed.items():
        needs = {
            purls[canonicalize_name(requirement.name)]
            for requirement in map(Requirement, one.requires or ())
            if canonicalize_name(requirement.name) in purls
            and (requirement.marker is None or requirement.marker.evaluate({"extra": ""}))
        }
        pin = pins.pop((name, one.version), None)
        bom.add(_python_component(name, one.version, licences(one), pin), needs)
    # What is left is installed only by other systems or versions of Python.
    for pin in pins.values():
        bom.add({**_python_component(pin.name, pin.version, _elsewhere(pin), pin), "scope": "excluded"})


def _python_component(name: str, version: str, licence: list[dict[str, Any]], pin: Pin | None) -> dict[str, Any]:
    component: dict[str, Any] = {
        "type": "library",
        "name": name,
        "version": version,
        "licenses": licence,
        "purl": f"pkg:pypi/{name}@{version}",
    }
    if pin is not None:
        hashes = [{"alg": "SHA-256", "content": digest} for digest in pin.hashes]
        url = f"https://pypi.org/project/{name}/{version}/#files"
        component["externalReferences"] = [{"type": "distribution", "url": url, "hashes": hashes}]
        if pin.marker:
            component["properties"] = [{"name": "mltrail:marker", "value": pin.marker}]
    return component


def licences(one: Distribution) -> list[dict[str, Any]]:
    """The licence that a package states: as an expression, as a name, or by its classifiers."""
    stated = one.metadata.get("License-Expression") or one.metadata.get("License") or ""
    if choice := _licence(stated.strip()):
        return choice
    classified = [
        value.rpartition(" :: ")[2]
        for value in one.metadata.get_all("Classifier", [])
        if value.startswith("License :: OSI Approved :: ")
    ]
    if classified:
        known = [_CLASSIFIERS.get(value) for value in classified]
        if len(known) == 1 and known[0]:
            return [{"license": {"id": known[0]}}]
        return [{"license": {"name": value}} for value in classified]
    if stated.strip():
        return [{"license": {"name": stated.strip().splitlines()[0]}}]
    return [_by_text(one, name) for name in one.metadata.get_all("License-File", [])]


def _by_text(one: Distribution, name: str) -> dict[str, Any]:
    text = one.read_text(f"licenses/{name}") or ""
    return {
        "license": {"id": "MIT"} if "Permission is hereby granted, free of charge" in text else {"name": f"see {name}"}
    }


def _licence(stated: str) -> list[dict[str, Any]]:
    if (identifier := fixup_id(stated)) is not None:
        return [{"license": {"id": identifier}}]
    if stated and "\n" not in stated and is_expression(stated):
        return [{"expression": stated}]
    return []


def _elsewhere(pin: Pin) -> list[dict[str, Any]]:
    """The licence of a package that this system does not install."""
    with tempfile.TemporaryDirectory() as scratch:
        what = [f"{pin.name}=={pin.version}", *("--no-deps", "--ignore-requires-python", "--target", scratch)]
        _run("-m", "pip", "install", "--quiet", "--disable-pip-version-check", *what)
        (one,) = distributions(path=[scratch])
        return licences(one)


def _install(lock: Path, folder: Path) -> None:
    uv = Path(sys.executable).with_name("uv")
    what = ["install", "--quiet", "--no-deps", "--require-hashes", "--target", str(folder), "--requirement", str(lock)]
    if uv.exists():
        subprocess.run([uv, "pip", *what, "--python", sys.executable], check=True)
    else:
        _run("-m", "pip", *what, "--upgrade", "--disable-pip-version-check")


def _run(*arguments: str) -> None:
    subprocess.run([sys.executable, *arguments], check=True)


def _debian(root: Path) -> Iterator[dict[str, str]]:
    """The packages of a Debian root file system, with dpkg or without: by the fields of their descriptions."""
    folder = root / "var/lib/dpkg"
    texts = [path.read_text() for path in sorted(folder.glob("status.d/*")) if not path.name.endswith(".md5sums")]
    if (folder / "status").exists():
        texts += (folder / "status").read_text().split("\n\n")
    for text in filter(str.strip, texts):
        yield dict(re.findall(r"^([A-Z][\w-]*): *(.*)$", text, re.MULTILINE))


def _debian_component(fields: dict[str, str], root: Path) -> dict[str, Any]:
    name, version, machine = fields["Package"], fields["Version"], fields["Architecture"]
    copyright_ = root / "usr/share/doc" / name / "copyright"
    # Debian's copyright files are for people: most name licences, some in Debian's own words.
    stated = list(dict.fromkeys(_COPYRIGHT.findall(copyright_.read_text()))) if copyright_.exists() else []
    named = [{"license": {"name": one}} for one in stated] or [
        {"license": {"name": f"see /usr/share/doc/{name}/copyright"}}
    ]
    return {
        "type": "library",
        "name": name,
        "version": version,
        "licenses": named if copyright_.exists() else [],
        "purl": f"pkg:deb/debian/{name}@{version.replace('+', '%2B').replace(':', '%3A')}?arch={machine}",
    }


def _ours(kind: str, name: str, version: str, digest: str | None) -> dict[str, Any]:
    purl = f"pkg:pypi/mltrail@{version}" if kind == "library" else f"pkg:oci/{name.rpartition('/')[2]}@{version}"
    component = {
        "type": kind,
        "bom-ref": f"{purl}#this",
        "name": name,
        "version": version,
        "licenses": [{"license": {"id": "MIT"}}],
        "purl": purl,
    }
    if digest is not None:
        component["hashes"] = [{"alg": "SHA-256", "content": digest}]
    return component


def main(arguments: list[str]) -> int:
    try:
        match arguments:
            case ["wheel", path, out, *locks]:
                Path(out).write_text(wheel(Path(path), [Path(one) for one in locks]))
            case ["image", name, version, root, out]:
                Path(out).write_text(image(name, version, Path(root)))
            case _:
                sys.exit(__doc__)
    except SbomError as error:
        sys.exit(str(error))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
