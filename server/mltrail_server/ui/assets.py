"""Our style sheets and scripts, and those taken from npm when the wheel was built (`assets/make.py`).

They are small and are kept in memory. A URL contains a hash of the content, so that browsers can cache it for good.
"""

import gzip
import hashlib
import mimetypes
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable

from flask import Flask, Response, request
from flask.typing import ResponseReturnValue
from markupsafe import Markup, escape

from mltrail_server.domain.errors import not_found
from mltrail_server.http.routes import mount_public
from mltrail_server.settings import Settings

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


def mount_all(app: Flask, settings: Settings) -> None:
    """Serve every asset, and let templates name them: `asset("app.css")`, `icon("job")`, and whole elements by
    `styles("charts.css")` and `scripts("app.js")`. An asset that was not built is left out of the page, which then
    looks plain.
    """
    found = {asset_name: _read(source, settings.root_path) for asset_name, source in _sources()}

    def answer(name: str) -> ResponseReturnValue:
        if name not in found:
            raise not_found(f"There is no file '{name}' here.")
        return found[name].answer()

    mount_public(app, "/-/assets/<name>", answer)
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

    app.jinja_env.globals.update(asset=url, icon=icon, styles=styles, scripts=scripts)


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
