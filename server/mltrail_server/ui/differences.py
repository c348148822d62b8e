"""Show two texts as one, with what was removed and what was added."""

from markupsafe import Markup

from mltrail_server.domain.word_diff import Change, word_diff

_MOST = 200_000
_SHAPES = {
    Change.SAME: Markup("{}"),
    Change.REMOVED: Markup("<del>{}</del>"),
    Change.ADDED: Markup("<ins>{}</ins>"),
}


def both(before: str, after: str) -> Markup:
    """Mark what differs in one text; only the beginning of very long ones is compared."""
    return _joined(word_diff(before[:_MOST], after[:_MOST]), tuple(Change))


def sides(before: str, after: str) -> tuple[Markup, Markup]:
    """Mark what was removed in the one and what was added in the other, to be shown side by side."""
    found = word_diff(before[:_MOST], after[:_MOST])
    return _joined(found, (Change.SAME, Change.REMOVED)), _joined(found, (Change.SAME, Change.ADDED))


def _joined(diff: list[tuple[Change, str]], kinds: tuple[Change, ...]) -> Markup:
    return Markup("").join(_SHAPES[kind].format(text) for kind, text in diff if kind in kinds)
