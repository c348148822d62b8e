"""What may be printed on a terminal: names and messages come from elsewhere, and can hold what a terminal obeys."""


def plain(text: str) -> str:
    """Return a text on one line, without what would move a terminal's cursor or change its title."""
    return "".join(one if one.isprintable() else repr(one)[1:-1] for one in text)


def plain_lines(text: str) -> str:
    """Do the same for a text of several lines."""
    return "\n".join(plain(line) for line in text.split("\n"))
