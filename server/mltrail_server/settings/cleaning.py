"""What a setting can contain: no spaces, line breaks or quotes around it, and no invisible characters.

Values come from files, from Kubernetes secrets made with `echo`, and from env files whose quotes are kept. No message
repeats a value, because it may be a secret.
"""

import unicodedata

from mltrail_server.domain.errors import Code, MltrailError

_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""https://www.unicode.org/reports/tr44/#General_Category_Values: invisible characters and line separators"""
_AROUND = "\ufeff\u200b\u200c\u200d\u2060"
"""What editors leave around text and `str.strip` does not remove."""
_QUOTES = ('""', "''", "``", "“”", "„“", "\u2018\u2019", "«»")
_LINES_INSIDE = frozenset({"signing_key"})  # a key in PEM has lines
_WORDS = frozenset(
    {"gitlab_token", "gitlab_tokens", "oauth_client_id", "oauth_client_secret", "metrics_token", "local_token"}
)
"""Tokens: they are sent in HTTP headers, which allow only ASCII, and no spaces."""
_URLS = frozenset(
    {
        "backup_s3_endpoint_url",
        "database_url",
        "database_replica_url",
        "external_url",
        "gitlab_url",
        "oidc_issuer",
        "s3_endpoint_url",
    }
)


def cleaned(name: str, variable: str, text: str) -> str:
    """Remove what is around a value; "" if nothing is left. Raises INVALID, with the variable's name only."""
    text = _stripped(text)
    if not text:
        return ""
    if any(len(text) > 1 and text[0] == pair[0] and text[-1] == pair[1] for pair in _QUOTES):
        raise _wrong(variable, "is in quotes, which would be part of the value; remove them")
    _check_visible(variable, text, allowed="\r\n" if name in _LINES_INSIDE else "")
    if name in _WORDS and not (text.isascii() and _in_one_piece(name, text)):
        raise _wrong(
            variable, "contains a space or a character that no token has; copy it again, without quotes around it"
        )
    if name in _URLS and any(character.isspace() for character in text):
        raise _wrong(variable, "contains a space, which URLs can't; write it as %20")
    return text


def _check_visible(variable: str, text: str, *, allowed: str) -> None:
    for place, character in enumerate(text, start=1):
        if unicodedata.category(character) in _UNSEEN and character not in allowed:
            what = "a line break" if character in "\r\n\u2028\u2029\x85" else f"U+{ord(character):04X}"
            raise _wrong(
                variable,
                f"contains {what} at character {place}, which is invisible; copy the value again, in one piece",
            )


def _in_one_piece(name: str, text: str) -> bool:
    # In a list, a space may follow a comma.
    pieces = text.split(",") if name == "gitlab_tokens" else [text]
    return not any(character.isspace() for piece in pieces for character in piece.strip())


def _stripped(text: str) -> str:
    while text != (shorter := text.strip().strip(_AROUND)):
        text = shorter
    return text


def _wrong(variable: str, what: str) -> MltrailError:
    return MltrailError(Code.INVALID, f"{variable} {what}")
