"""The content security policies of pages, and of users' files that pages show in a frame."""

from flask import Response

_PAGE = (
    "default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'self'; img-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_FRAMED = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data: blob:; font-src data:; media-src data: blob:; "
    "connect-src 'none'; form-action 'none'; base-uri 'none'; frame-ancestors 'self'"
)
_SCRIPTS = "; script-src 'unsafe-inline' 'unsafe-eval' data: blob:; worker-src blob:"


def of_page(*, frames: bool = False, sounds: bool = False) -> str:
    """Return the policy of a page: nothing is loaded from elsewhere, no inline script runs, no other site frames it.
    `frames` allows frames of this site, `sounds` files of this site to be played.
    """
    return _PAGE + ("; frame-src 'self'" if frames else "") + ("; media-src 'self'" if sounds else "")


def of_framed_file(*, scripts: bool) -> str:
    """Return the policy of a user's HTML file in a frame of one of our pages.

    The sandbox gives it an origin of its own, so that it has no cookies and can read no page of ours, and lets it open
    no windows, send no forms and leave the frame alone. The rest lets it load nothing, from here or from elsewhere. The
    page around it allows frames of this site only, so that the frame can't go elsewhere either.
    """
    return f"sandbox{' allow-scripts' if scripts else ''}; {_FRAMED}{_SCRIPTS if scripts else ''}"


PICTURE = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:"
"""Of a picture that is opened by itself: an SVG is a page, too."""
FRAMED_PDF = "default-src 'self'; object-src 'self'; plugin-types application/pdf; frame-ancestors 'self'"


def secured(response: Response) -> Response:
    """Add the policy of pages to every page that has none of its own."""
    if (response.content_type or "").startswith("text/html"):
        response.headers.setdefault("Content-Security-Policy", of_page())
        response.headers["Cache-Control"] = "no-store"
    return response
