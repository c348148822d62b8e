"""Say where the files of a release come from: `python -m scripts.release.provenance FOLDER`.

Writes an in-toto statement with SLSA's provenance (https://slsa.dev/spec/v1.2/build-provenance) for all files of the
folder and the images that its images.txt lists, and SHA256SUMS. Both are signed like the files themselves. GitLab.com
makes a statement of its own where it can (ATTEST_BUILD_ARTIFACTS); this one also exists elsewhere.
"""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mltrail_ci import __version__

ROOT = Path(__file__).parents[2]
LOCKS = ("requirements/release.txt", "image/requirements.txt", "image/requirements-server.txt", "assets/npm.json")
"""What decides which third-party code gets into a release, and which tools make it."""

_RUN = ("CI_PIPELINE_ID", "CI_JOB_ID", "CI_RUNNER_ID", "CI_RUNNER_VERSION", "CI_SERVER_VERSION")
IMAGES = "images.txt"
SUMS = "SHA256SUMS"


def statement(folder: Path, variables: Mapping[str, str]) -> dict[str, Any]:
    """The statement about a folder's files; `variables` are those of GitLab's job."""
    home = variables.get("CI_PROJECT_URL", "")
    tag = variables.get("CI_COMMIT_TAG", __version__)
    locks = [path for path in map(ROOT.joinpath, LOCKS) if path.exists()]
    return {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [*files(folder), *images(folder)],
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {
            "buildDefinition": {
                "buildType": f"{home}/-/blob/{tag}/docs/how-to/verify-a-release.md#provenance",
                "externalParameters": {
                    "source": f"git+{home}.git",
                    "ref": f"refs/tags/{tag}",
                    "configuration": variables.get("CI_CONFIG_PATH", ".gitlab-ci.yml"),
                },
                "internalParameters": {
                    name: variables[name]
                    for name in (
                        "CI_PIPELINE_ID",
                        "CI_JOB_ID",
                        "CI_RUNNER_ID",
                        "CI_RUNNER_VERSION",
                        "CI_SERVER_VERSION",
                    )
                    if name in variables
                },
                "resolvedDependencies": [
                    {"uri": f"git+{home}.git@refs/tags/{tag}", "digest": {"gitCommit": commit(variables)}},
                    *({"name": str(one.relative_to(ROOT)), "digest": {"sha256": _sha256(one)}} for one in locks),
                ],
            },
            "runDetails": {
                "builder": {"id": variables.get("CI_SERVER_URL", "https://localhost")},
                "metadata": {
                    "invocationId": variables.get("CI_PIPELINE_URL", ""),
                    "startedOn": variables.get("CI_PIPELINE_CREATED_AT", "1970-01-01T00:00:00Z"),
                },
            },
        },
    }


def files(folder: Path) -> list[dict[str, Any]]:
    """The files that users download, by digest."""
    left_out = (IMAGES, SUMS, "UNSIGNED.txt", "cosign.pub")
    return [
        {"name": path.name, "digest": {"sha256": _sha256(path)}}
        for path in sorted(folder.iterdir())
        if path.name not in left_out and not path.name.endswith((".sigstore.json", ".provenance.json"))
    ]


def images(folder: Path) -> list[dict[str, Any]]:
    listed = folder / IMAGES
    lines = listed.read_text().splitlines() if listed.exists() else []
    named = [line.split()[1].split("@sha256:") for line in lines]
    return [{"name": name, "digest": {"sha256": digest}} for name, digest in named]


def commit(variables: Mapping[str, str]) -> str:
    """The hash of the commit that is built."""
    if "CI_COMMIT_SHA" in variables:
        return variables["CI_COMMIT_SHA"]
    ran = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, check=True, capture_output=True, text=True)
    return ran.stdout.strip()


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def main(arguments: list[str]) -> int:
    (folder,) = map(Path, arguments)
    made = folder / f"mltrail-{__version__}.provenance.json"
    made.write_text(json.dumps(statement(folder, os.environ), indent=1) + "\n")
    summed = [*files(folder), {"name": made.name, "digest": {"sha256": _sha256(made)}}]
    lines = [f"{one['digest']['sha256']}  {one['name']}\n" for one in sorted(summed, key=lambda one: one["name"])]
    (folder / SUMS).write_text("".join(lines))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
