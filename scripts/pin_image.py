"""Write the digest of the image into the templates, or tell which one they name.

python -m scripts.pin_image sha256:…    the digest that the job `cli-image` prints
python -m scripts.pin_image             print the image of the templates; fail where they disagree, name another
                                        version than this one, or have no digest (`--unpinned` lets that pass)
"""

import re
import sys

from mltrail_ci import __version__
from scripts import component_files

NAME = f"$CI_REGISTRY/mlops/mltrail/cli:{__version__}"
_DEFAULT = re.compile(r"^( +default: )(\$CI_REGISTRY/\S+/cli:\S+)$", re.MULTILINE)
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


def main(arguments: list[str]) -> int:
    digests = [one for one in arguments if one != "--unpinned"]
    if not digests:
        return _check(pinned=arguments == [])
    if len(digests) != 1 or not _DIGEST.fullmatch(digests[0]):
        print("A digest looks like sha256: and 64 hexadecimal digits.", file=sys.stderr)
        return 2
    for part in ("report", "promote"):
        path = component_files.TEMPLATES / f"{part}.yml"
        path.write_text(_DEFAULT.sub(lambda found: f"{found[1]}{NAME}@{digests[0]}", path.read_text()))
    return component_files.main([])


def _check(*, pinned: bool) -> int:
    texts = [(component_files.TEMPLATES / f"{name}.yml").read_text() for name in ("report", "promote", "pipeline")]
    images = {found[2] for text in texts for found in _DEFAULT.finditer(text)}
    if len(images) != 1:
        print(f"The templates do not agree on one image: {', '.join(sorted(images))}", file=sys.stderr)
        return 1
    (image,) = images
    name, _, digest = image.partition("@")
    if name != NAME or (pinned and not _DIGEST.fullmatch(digest)):
        print(f"The templates name {image}; a release needs {NAME}@sha256:…", file=sys.stderr)
        return 1
    print(image)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
