"""What a model is called outside mltrail: in dotenv variables, as an environment in GitLab, as a Git tag.

Each name depends only on the model's name, so that a later job can rely on it whatever else a pipeline promotes; and no
two models share one, not even if case is ignored. A name made of lower-case letters, digits and single separators is
used as it is. Any other name becomes its readable part and a digest of the whole name, with a separator that no plain
name has: `--`, or `___` in a variable. docs/reference/cli.md explains it to users.
"""

import re

_SEPARATED = re.compile(r"[a-z0-9]+(?:[._-][a-z0-9]+)*")
_VARIABLE = re.compile(r"[a-z0-9]+(?:[_-][a-z0-9]+)*")
_VERSION_INSIDE = re.compile(r"-v[0-9]+\.[0-9]+\.[0-9]+")
_TAGGED_VERSION = re.compile(r"[0-9A-Za-z+-]+(?:\.[0-9A-Za-z+-]+)*")
_LONGEST = 80
_LONGEST_READABLE = 40
_DIGEST_CHARACTERS = 16  # of base32, five bits each

_RESERVED = ("url",)
"""Words that other variables end with: the model `url` would get MLTRAIL_VERSION_URL."""


def variable(model: str) -> str:
    """The end of the model's variables, as in MLTRAIL_VERSION_<end>: letters, digits and `_`."""
    first = re.split(r"[^a-z0-9]", model, maxsplit=1)[0]
    if len(model) <= _LONGEST and _VARIABLE.fullmatch(model) and first not in _RESERVED:
        return model.replace("_", "__").replace("-", "_").upper()
    readable = _readable(model).replace("-", "_")
    if readable.split("_", 1)[0] in _RESERVED:
        readable = f"model_{readable}"
    return f"{readable}___{_digest(model)}".upper()


def environment(model: str) -> str:
    """https://docs.gitlab.com/ci/yaml/#environmentname"""
    plain = len(model) <= _LONGEST and _SEPARATED.fullmatch(model)
    return f"model/{model if plain else _marked(model)}"


def tag(model: str, version: str) -> str:
    """A tag that `git check-ref-format` accepts. It shows where the model ends and the version begins."""
    plain = len(model) <= _LONGEST and _SEPARATED.fullmatch(model) and not _VERSION_INSIDE.search(model)
    good = len(version) <= _LONGEST and _TAGGED_VERSION.fullmatch(version) and not version.endswith(".lock")
    if not good:  # no semantic version contains `@`
        version = f"{_readable(version)}@{_digest(version)}"
    return f"{model if plain else _marked(model)}-v{version}"


def _marked(name: str) -> str:
    return f"{_readable(name)}--{_digest(name)}"


def _readable(name: str) -> str:
    """The ASCII part of a name, without accents: lower-case letters, digits and single dashes."""
    import unicodedata  # noqa: PLC0415 - most names don't need it

    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain)[:_LONGEST_READABLE].strip("-") or "model"


def _digest(name: str) -> str:
    from base64 import b32encode  # noqa: PLC0415
    from hashlib import sha256  # noqa: PLC0415

    made = sha256(name.encode("utf-8", "surrogatepass")).digest()
    return b32encode(made).decode().lower()[:_DIGEST_CHARACTERS]
