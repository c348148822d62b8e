"""Sphinx's settings for the docs site. `scripts.docs_site` lays out the pages and calls Sphinx with this file.

https://www.sphinx-doc.org/en/master/usage/configuration.html
"""

import re
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

project = "mltrail"
author = "the mltrail authors"
html_title = "mltrail"
extensions = ["myst_parser"]
root_doc = "index"
language = "en"
smartquotes = False  # words of the product are quoted as they are
nitpicky = True

myst_heading_anchors = 5
myst_heading_slug_func = "scripts.docs_site.anchors.anchor"
# Blocks of YAML, JSON and console output may hold an ellipsis.
suppress_warnings = ["misc.highlighting_failure"]

# Made-up addresses, and those whose anchors are created by a script.
linkcheck_ignore = [r"https?://([\w-]+\.)*example\.com", r"https?://(localhost|127\.0\.0\.1)"]
linkcheck_anchors_ignore_for_url = [r"https://gitlab\.com/", r"https://github\.com/"]
linkcheck_timeout, linkcheck_retries = 30, 2

html_theme = "furo"
html_static_path = ["static"]
templates_path = ["templates"]
html_css_files = ["site.css"]
html_js_files = [("versions.js", {"defer": "defer"})]
html_copy_source = html_show_sourcelink = html_show_sphinx = html_show_copyright = False
html_use_index = False
pygments_style, pygments_dark_style = "a11y-high-contrast-light", "a11y-high-contrast-dark"
html_theme_options = {"top_of_page_buttons": [], "navigation_with_keys": False}
html_sidebars = {
    "**": [
        "sidebar/brand.html",
        "sidebar/versions.html",
        "sidebar/search.html",
        "sidebar/scroll-start.html",
        "sidebar/navigation.html",
        "sidebar/scroll-end.html",
    ]
}


def entrances(doctree: nodes.document) -> None:
    """The first list of the landing page becomes three cards."""
    for found in doctree.findall(nodes.bullet_list):
        found["classes"].append("entrances")
        return


def dark_pictures(app: Sphinx, doctree: nodes.document) -> None:
    """In the dark theme, a picture that has a dark sibling is replaced by it."""
    for image in [*doctree.findall(nodes.image)]:
        stem = re.sub(r"(-light)?\.png$", "", image["uri"])
        dark = f"{stem}-dark.png"
        folder = Path(app.env.doc2path(app.env.docname)).parent
        if image["uri"].endswith(".png") and dark != image["uri"] and (folder / dark).exists():
            other = image.deepcopy()
            other["uri"] = dark
            other["classes"].append("only-dark")
            image["classes"].append("only-light")
            image.parent.insert(image.parent.index(image) + 1, other)


def prepare(app: Sphinx, doctree: nodes.document) -> None:
    if app.env.docname == root_doc:
        entrances(doctree)


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("doctree-read", prepare)
    # Before Sphinx collects the pictures that it has to copy.
    app.connect("doctree-read", dark_pictures, priority=100)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
