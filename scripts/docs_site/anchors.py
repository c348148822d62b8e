"""How GitLab names a heading in an address, so that a link works there and on the site."""

import re


def anchor(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
