"""Show on a page what was written for a note: sentences in which all that users named is already safe.

Only `Markdown` is accepted, which only `domain.markdown` makes from a user's text. Besides CommonMark, a note may
contain a handful of tags without attributes, which are recognised outside code spans only; any other HTML is shown as
text.
"""

import re
from collections.abc import Sequence

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict
from markupsafe import Markup, escape

from mltrail_server.domain.markdown import Markdown

_TAGS = re.compile(r"<code>(?:[A-Za-z0-9_/.]|<wbr>)+</code>|</?(?:sub|ins)>|<br>|<wbr>")
_JOINER = "\u2060"  # which `domain.markdown` puts where GitLab would read more into a text


class _Renderer(RendererHTML):
    def code_inline(self, tokens: Sequence[Token], index: int, options: OptionsDict, env: EnvType) -> str:  # noqa: ARG002 - markdown-it's signature
        # A pipe is escaped for tables of GitLab.
        text = tokens[index].content.replace("\\|", "|").replace(_JOINER, "")
        return str(Markup("<code>{}</code>").format(text))


def _tag(state: StateInline, silent: bool) -> bool:
    """Let the tags of notes pass."""
    found = _TAGS.match(state.src, state.pos)
    if found is None:
        return False
    if not silent:
        state.push("html_inline", "", 0).content = found[0]
    state.pos = found.end()
    return True


def _reader() -> MarkdownIt:
    made = MarkdownIt("commonmark", {"html": False}, renderer_cls=_Renderer).enable("strikethrough").disable("image")
    made.inline.ruler.before("autolink", "tag", _tag)
    made.validateLink = lambda url: url.startswith(("https://", "http://"))  # type: ignore[method-assign] # as its docs say
    return made


_READER = _reader()


def marked(text: Markdown | None) -> Markup:
    """Show a sentence of a note, or several."""
    if text is None:
        return Markup("")
    if not isinstance(text, Markdown):
        raise TypeError(f"{text!r} is not made safe for a note")
    return Markup(_READER.renderInline(text))  # noqa: S704 - the reader escapes what is not its own


def with_code(text: str) -> Markup:
    """Show a message, with the text between backticks as code."""
    parts = text.split("`")
    if len(parts) % 2 == 0:
        return escape(text)
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if place % 2 else part for place, part in enumerate(parts)
    )


def quoted(text: str) -> Markup:
    """Show a user's text as it is, as code."""
    return Markup("<code>{}</code>").format(escape(text))
