"""Fill in where the project lives: each mirror publishes packages that link to itself, so the address is not in git.

GitLab's CI says it while the sdist is built, and the wheel, which is built from the sdist, takes over what the sdist
says. Elsewhere the package has no links, and its description keeps the README's relative ones.
"""

import os
import re
from email import message_from_string
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

_RELATIVE = re.compile(r"(!?\[[^\]]*\])\((?![a-z]+:|#)([^)\s]+)\)")


class HomeHook(MetadataHookInterface):
    PLUGIN_NAME = "custom"

    def update(self, metadata: dict[str, Any]) -> None:
        stated = Path(self.root, "PKG-INFO")
        if stated.exists():
            message = message_from_string(stated.read_text())
            urls = dict(one.split(", ", 1) for one in message.get_all("Project-URL", []))
            text = message.get_payload()
        else:
            home, ref = os.environ.get("CI_PROJECT_URL"), os.environ.get("CI_COMMIT_TAG") or "HEAD"
            text = Path(self.root, "README.md").read_text()
            urls = links(home, ref) if home else {}
            text = absolute(text, home, ref) if home else text
        metadata["urls"] = urls
        metadata["readme"] = {"content-type": "text/markdown", "text": text}


def links(home: str, ref: str) -> dict[str, str]:
    return {
        "Changelog": f"{home}/-/blob/{ref}/CHANGELOG.md",
        "Documentation": f"{home}/-/blob/{ref}/docs/README.md",
        "Issues": f"{home}/-/issues",
        "Security": f"{home}/-/blob/{ref}/SECURITY.md",
        "Source": f"{home}/-/tree/{ref}",
    }


def absolute(text: str, home: str, ref: str) -> str:
    """Make links to files of the repository absolute; pictures are fetched raw."""
    return _RELATIVE.sub(
        lambda found: f"{found[1]}({home}/-/{'raw' if found[1].startswith('!') else 'blob'}/{ref}/{found[2]})", text
    )
