"""Our style sheets and scripts, and those taken from npm when the wheel was built (`assets/make.py`).

They are small and are kept in memory. A URL contains a hash of the content, so that browsers can cache it for good.
"""

import gzip
import hashlib
import mimetypes
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable

from flask import Response, request
from flask.typing import ResponseReturnValue
from markupsafe import Markup, escape

from mltrail_server.domain.errors import not_found
from mltrail_server.services.context.deps import Deps

from .compression import takes_gzip

_KEEP = "public, max-age=31536000, immutable"
_SUFFIXES = (".css", ".js", ".svg", ".txt")


@dataclass(frozen=True, slots=True)
class Asset:
    url: str
    body: bytes
    squeezed: bytes
    content_type: str

    def answer(self) -> ResponseReturnValue:
        headers = {"Cache-Control": _KEEP, "Vary": "Accept-Encoding"}
        if not takes_gzip(request):
            return Response(self.body, content_type=self.content_type, headers=headers)
        return Response(self.squeezed, content_type=self.content_type, headers=headers | {"Content-Encoding": "gzip"})


def show(deps: Deps, name: str) -> ResponseReturnValue:
    """Serve an asset. Raises NOT_FOUND."""
    found = _found(deps.settings.root_path)
    if name not in found:
        raise not_found(f"There is no file '{name}' here.")
    return found[name].answer()


def elements(root_path: str) -> dict[str, Callable[..., Markup | str | None]]:
    """Return functions by which templates name assets: `asset("app.css")`, `icon("job")`, and whole elements by
    `styles("charts.css")` and `scripts("app.js")`. An asset that was not built is left out of the page, which then
    looks plain.
    """
    found = _found(root_path)
    sprite = found.get("icons.svg")

    def url(name: str) -> str | None:
        return found[name].url if name in found else None

    @cache  # a table has hundreds
    def icon(name: str) -> Markup:
        if sprite is None:
            return Markup("")
        # Both parts are our own.
        return Markup('<svg class="icon" aria-hidden="true"><use href="{}#{}"></use></svg>').format(
            sprite.url, escape(name)
        )

    def styles(*names: str) -> Markup:
        return _each(Markup('<link rel="stylesheet" href="{}">'), names)

    def scripts(*names: str) -> Markup:
        return _each(Markup('<script src="{}" defer></script>'), names)

    def _each(element: Markup, names: tuple[str, ...]) -> Markup:
        return Markup("").join(element.format(found[name].url) for name in names if name in found)

    return {"asset": url, "icon": icon, "styles": styles, "scripts": scripts}


@cache
def _found(root_path: str) -> dict[str, Asset]:
    return {name: _read(source, root_path) for name, source in _sources()}


def _sources() -> list[tuple[str, Traversable]]:
    root = files("mltrail_server.ui").joinpath("static")
    folders = [root, root.joinpath("vendor")]
    return [
        (one.name, one)
        for folder in folders
        if folder.is_dir()
        for one in folder.iterdir()
        if one.name.endswith(_SUFFIXES)
    ]


def _read(source: Traversable, root_path: str) -> Asset:
    body = source.read_bytes()
    mark = hashlib.sha256(body).hexdigest()[:12]
    kind = mimetypes.guess_type(source.name)[0] or "application/octet-stream"
    charset = "; charset=utf-8" if kind.startswith("text/") else ""
    url = f"{root_path}/-/assets/{source.name}?v={mark}"
    return Asset(url, body, _squeezed(body), kind + charset)


@cache
def _squeezed(body: bytes) -> bytes:
    return gzip.compress(body, mtime=0)
