"""Say what is bundled from npm, and under which licences: the texts for people, a CycloneDX SBOM for tools.

Both are made with the files that they describe, since nothing of npm's is kept in git. The wheel has the texts in
`dist-info/licenses` and the SBOM in `dist-info/sboms` (https://peps.python.org/pep-0770/).
"""

import base64
import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

TEXTS = "THIRD_PARTY_LICENSES.txt"
SBOM = "bundled.cdx.json"

_HEAD = """\
The web pages of mltrail contain files from these npm packages, under the licences below.
"""


def texts(pins: Path, source: Path) -> str:
    """The licence texts of all packages that were unpacked into `source`."""
    parts = [_HEAD]
    for name, pin in json.loads(pins.read_text()).items():
        title = f"{name} {pin['version']} ({_licence(source, name)})"
        text = (source / name / "LICENSE").read_text().strip()
        parts.append(f"{'=' * len(title)}\n{title}\n{'=' * len(title)}\n\n{text}\n")
    return "\n".join(parts)


def sbom(pins: Path, source: Path) -> str:
    """The same packages as a CycloneDX document."""
    components = [
        _component(name, pin, _licence(source, name)) for name, pin in sorted(json.loads(pins.read_text()).items())
    ]
    document = {"bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1, "components": components}
    return json.dumps(document, indent=2) + "\n"


def _component(name: str, pin: dict[str, str], licence: str) -> dict[str, Any]:
    scope, _, package = name.rpartition("/")
    purl = f"pkg:npm/{quote(name, safe='/')}@{pin['version']}"
    algorithm, _, digest = pin["integrity"].partition("-")
    return {
        "type": "library",
        "bom-ref": purl,
        **({"group": scope} if scope else {}),
        "name": package,
        "version": pin["version"],
        "licenses": [{"license": {"id": licence}}],
        "purl": purl,
        "externalReferences": [
            {
                "type": "distribution",
                "url": f"https://registry.npmjs.org/{name}/-/{package}-{pin['version']}.tgz",
                "hashes": [
                    {"alg": algorithm.upper().replace("SHA", "SHA-"), "content": base64.b64decode(digest).hex()}
                ],
            }
        ],
    }


def _licence(source: Path, name: str) -> str:
    licence: str = json.loads((source / name / "package.json").read_text())["license"]
    return licence
