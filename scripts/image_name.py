"""Print the image that the templates name; fail if they disagree or name a version other than this one."""

import re
import sys

from mltrail_ci import __version__
from scripts import component_files

_DEFAULT = re.compile(r"^ +image:\n(?: {6}.*\n)*? {6}default: (\S+)$", re.MULTILINE)
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
"""What registries accept as a tag: a version with build metadata (+…) can't be released."""


def main() -> int:
    texts = [
        (component_files.TEMPLATES / f"{name}.yml").read_text() for name in ("report", "promote", "doctor", "pipeline")
    ]
    images = {image for text in texts for image in _DEFAULT.findall(text)}
    wanted = f"$CI_REGISTRY/$MLTRAIL_MIRROR/cli:{__version__}"
    if images != {wanted} or not _TAG.fullmatch(__version__):
        print(f"The templates name {', '.join(sorted(images))}; this version is {wanted}", file=sys.stderr)
        return 1
    print(wanted)
    return 0


if __name__ == "__main__":
    sys.exit(main())
