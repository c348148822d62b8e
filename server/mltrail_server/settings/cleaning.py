"""What a setting's text may hold: no blanks, line breaks or quotes around it, and no characters that nobody sees.

Values come from files, from secrets of Kubernetes that were made with `echo`, and from env files whose quotes are kept
as they are. No message repeats a value: it may be a secret.
"""

import unicodedata

from mltrail_server.domain.errors import Code, MltrailError

_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""https://www.unicode.org/reports/tr44/#General_Category_Values: what nobody sees, and what parts lines"""
_AROUND = "\ufeff\u200b\u200c\u200d\u2060"
"""What editors leave around a text and `str.strip` does not take for a blank."""
_QUOTES = ('""', "''", "``", "“”", "„“", "\u2018\u2019", "«»")
_LINES_INSIDE = frozenset({"signing_key"})  # a key in PEM has lines
_WORDS = frozenset(
    {"gitlab_token", "gitlab_tokens", "oauth_client_id", "oauth_client_secret", "metrics_token", "local_token"}
)
"""Tokens: they travel in HTTP headers, which hold neither blanks nor other letters than those of ASCII."""
_URLS = frozenset(
    {"database_url", "database_replica_url", "external_url", "gitlab_url", "oidc_issuer", "s3_endpoint_url"}
)


def cleaned(name: str, variable: str, text: str) -> str:
    """Take off what stands around a value; "" when nothing is left. Raises INVALID, with the variable's name only."""
    text = _stripped(text)
    if not text:
        return ""
    if any(len(text) > 1 and text[0] == pair[0] and text[-1] == pair[1] for pair in _QUOTES):
        raise _wrong(variable, "is in quotes, which would be part of the value; remove them")
    allowed = "\r\n" if name in _LINES_INSIDE else ""
    for place, character in enumerate(text, start=1):
        if unicodedata.category(character) in _UNSEEN and character not in allowed:
            what = "a line break" if character in "\r\n\u2028\u2029\x85" else f"U+{ord(character):04X}"
            raise _wrong(
                variable, f"holds {what} at character {place}, which is invisible; copy the value again, in one piece"
            )
    if name in _WORDS and not (text.isascii() and _in_one_piece(name, text)):
        raise _wrong(variable, "holds a blank or a letter that no token has; copy it again, without quotes around it")
    if name in _URLS and any(character.isspace() for character in text):
        raise _wrong(variable, "holds a blank, which no URL does; write it as %20")
    return text


def _in_one_piece(name: str, text: str) -> bool:
    # In a list a blank may follow a comma.
    pieces = text.split(",") if name == "gitlab_tokens" else [text]
    return not any(character.isspace() for piece in pieces for character in piece.strip())


def _stripped(text: str) -> str:
    while text != (shorter := text.strip().strip(_AROUND)):
        text = shorter
    return text


def _wrong(variable: str, what: str) -> MltrailError:
    return MltrailError(Code.INVALID, f"{variable} {what}")
