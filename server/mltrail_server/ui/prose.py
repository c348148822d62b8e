"""Show Markdown that people wrote. It can only be read: no HTML of its own, no pictures from elsewhere, links over http
only, no style that our policy would refuse.
"""

from collections.abc import Sequence
from functools import lru_cache

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict
from markupsafe import Markup

_MOST = 10_000
"""Longer text is shown as it is: the time to read some Markdown grows with the square of its length."""

_PRE = '<pre tabindex="0">'  # it may scroll, so it must be reachable by keyboard
_BELOW = 2  # a page's own headings are the first two levels


class _Renderer(RendererHTML):
    def heading_open(self, tokens: Sequence[Token], index: int, options: OptionsDict, env: EnvType) -> str:
        return self._heading(tokens, index, options, env)

    def heading_close(self, tokens: Sequence[Token], index: int, options: OptionsDict, env: EnvType) -> str:
        return self._heading(tokens, index, options, env)

    def link_open(self, tokens: Sequence[Token], index: int, options: OptionsDict, env: EnvType) -> str:
        tokens[index].attrSet("rel", "nofollow noopener noreferrer")
        return self.renderToken(tokens, index, options, env)

    def th_open(self, tokens: Sequence[Token], index: int, options: OptionsDict, env: EnvType) -> str:
        return self._cell(tokens, index, options, env)

    def td_open(self, tokens: Sequence[Token], index: int, options: OptionsDict, env: EnvType) -> str:
        return self._cell(tokens, index, options, env)

    def fence(self, tokens: Sequence[Token], index: int, options: OptionsDict, env: EnvType) -> str:
        return super().fence(tokens, index, options, env).replace("<pre>", _PRE, 1)

    def code_block(self, tokens: Sequence[Token], index: int, options: OptionsDict, env: EnvType) -> str:
        return super().code_block(tokens, index, options, env).replace("<pre>", _PRE, 1)

    def table_open(self, *_: object) -> str:
        return '<div class="scroll" tabindex="0"><table>\n'

    def table_close(self, *_: object) -> str:
        return "</table></div>\n"

    def _heading(self, tokens: Sequence[Token], index: int, options: OptionsDict, env: EnvType) -> str:
        level = int(tokens[index].tag[1:]) + _BELOW
        tokens[index].tag = f"h{min(level, 6)}"
        return self.renderToken(tokens, index, options, env)

    def _cell(self, tokens: Sequence[Token], index: int, options: OptionsDict, env: EnvType) -> str:
        """Use a class for what Markdown says with a style."""
        if tokens[index].attrs.pop("style", "") == "text-align:right":
            tokens[index].attrSet("class", "number")
        return self.renderToken(tokens, index, options, env)


def _reader() -> MarkdownIt:
    options = {"html": False, "breaks": True}
    made = MarkdownIt("commonmark", options, renderer_cls=_Renderer).enable("table").disable("image")
    made.validateLink = lambda url: url.startswith(("https://", "http://"))  # type: ignore[method-assign] # as its docs say
    return made


_READER = _reader()


def shown(text: str, most: int = _MOST) -> Markup:
    """Render a text; if it has more than `most` characters, show it as it is."""
    if len(text) > most:
        return Markup('<pre tabindex="0">{}</pre>').format(text)
    return Markup(_rendered(text))  # noqa: S704 - the reader escapes what is not its own


@lru_cache(maxsize=64)
def _rendered(text: str) -> str:
    return str(_READER.render(text))
