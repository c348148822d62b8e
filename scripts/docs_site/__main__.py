"""Build the docs site.

    python -m scripts.docs_site                    this checkout, into .site/html
    python -m scripts.docs_site --check-links      asks other sites whether the links to them work
    python -m scripts.docs_site --all public       each released version and this checkout (latest), with a switcher

Links to files that are no pages lead to the repository: CI_PROJECT_URL, which GitLab sets in its jobs, or --repository.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

from . import build, versions

ROOT = Path(__file__).parents[2]
SITE = ROOT / ".site"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m scripts.docs_site", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--to", type=Path, default=SITE / "html", help="folder of the site (default .site/html)")
    parser.add_argument("--all", type=Path, metavar="FOLDER", help="build all versions into this folder")
    parser.add_argument("--check-links", action="store_true", help="only ask other sites whether our links work")
    parser.add_argument(
        "--repository",
        default=os.environ.get("CI_PROJECT_URL", "https://gitlab.example.com/mlops/mltrail"),
        help="the address of the project, for links to files",
    )
    options = parser.parse_args()
    try:
        if options.check_links:
            build.check_links(ROOT, SITE)
        elif options.all:
            versions.build_all(ROOT, options.all, SITE, options.repository)
            print(f"Built {options.all}/index.html")
        else:
            build.site(ROOT, options.to, SITE / "source", f"{options.repository}/-/blob/main", version="latest")
            print(f"Built {options.to}/index.html")
    except subprocess.CalledProcessError as error:
        return error.returncode
    return 0


if __name__ == "__main__":
    sys.exit(main())
