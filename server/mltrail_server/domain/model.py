"""Rules for models, their versions and aliases. Texts and numbers are MLflow's where it has some."""

import json
import re
import unicodedata
from enum import StrEnum

from . import limits, semver
from .errors import invalid
from .reasons import Reason

MAX_NAME = 256
MAX_ALIAS = 255
MAX_TAG_VALUE = 100_000
"""Long, since a prompt's text is a tag of its version."""

MAX_NUMBER = 2**63 - 1
VERSION_TAG = "gitlab.version"
"""As in GitLab, a version created with this tag gets its value as semantic version."""

PROMPT_TAG = "mlflow.prompt.is_prompt"
"""Prompts are models with this tag set to "true". Searches leave them out unless they ask for them."""

LATEST = "latest"

_NO_NAME = frozenset({"Cc", "Cs", "Zl", "Zp"})
"""https://www.unicode.org/reports/tr44/#General_Category_Values: a name must fit on one line of notes,
logs and files.
"""

_EXPERIMENT_PREFIX = "[model]"

_ALIAS = re.compile(r"[\w-]+")
_LIKE_NUMBER = re.compile(r"[vV]\d+")


class VersionStage(StrEnum):
    """MLflow's stages of a version, since replaced by aliases."""

    NONE = "None"
    STAGING = "Staging"
    PRODUCTION = "Production"
    ARCHIVED = "Archived"


_STAGES = {stage.value.lower(): stage for stage in VersionStage}


def experiment_name(model: str) -> str:
    """Return the name of the experiment that GitLab gives each model."""
    return _EXPERIMENT_PREFIX + model


def model_of_experiment(name: str) -> str | None:
    """Return the model whose experiment this is; None for an ordinary experiment."""
    return name.removeprefix(_EXPERIMENT_PREFIX) if name.startswith(_EXPERIMENT_PREFIX) else None


def read_stage(text: str) -> VersionStage | None:
    """Read a stage, in upper or lower case; None for an unknown one."""
    return _STAGES.get(text.lower())


def parse_stage(text: str) -> VersionStage:
    stage = read_stage(text)
    if stage is None:
        raise invalid(Reason.NO_STAGE, text=text, choices=", ".join(VersionStage))
    return stage


def check_given(name: str) -> None:
    """Check the name of a model that a client asks for: a name that no model can have is a mistake."""
    if not name:
        raise invalid(Reason.MODEL_UNNAMED)
    if "/" in name or ":" in name:
        raise invalid(f"Invalid model name '{name[:60]}': it must not contain '/' or ':', which divide a models:/ URI.")


def check_visible(name: str) -> None:
    """Check that the name of a model or logged model fits on one line. Raises INVALID."""
    if odd := next((one for one in name if unicodedata.category(one) in _NO_NAME), None):
        raise invalid(
            f"Invalid model name {json.dumps(name[:60])}: it contains the invisible character U+{ord(odd):04X}. "
            "Remove line breaks, tabs and control characters."
        )


def check_name(name: str) -> None:
    """Check the name of a new model. It becomes one part of a path: in our URLs, and wherever it is saved."""
    check_given(name.strip())
    if name == "." or name.startswith(".."):
        raise invalid(Reason.MODEL_NAME_IS_PATH, name=name[:60], quoted=json.dumps(name[:60]))
    check_visible(name)
    if len(name) > MAX_NAME:
        raise invalid(f"The model name '{name[:40]}…' exceeds the maximum length of {MAX_NAME} characters.")


def check_alias_text(alias: str) -> None:
    if _ALIAS.fullmatch(alias) is None or len(alias) > MAX_ALIAS:
        raise invalid(
            f"Invalid alias name '{alias[:60]}': it may contain only letters, digits, underscores and dashes, "
            f"at most {MAX_ALIAS} of them."
        )


def check_alias(alias: str) -> None:
    """Check a new alias. One that looks like `latest` or a version number would be taken for that."""
    check_alias_text(alias)
    if alias.lower() == LATEST:
        raise invalid(Reason.ALIAS_IS_LATEST, alias=alias)
    if _LIKE_NUMBER.fullmatch(alias):
        raise invalid(Reason.ALIAS_IS_LIKE_VERSION, alias=alias)


def check_tag(key: str, value: str) -> None:
    limits.check_key(key, "tag")
    if len(value) > MAX_TAG_VALUE:
        raise invalid(
            f"Tag value of '{key}' exceeds the maximum length of {MAX_TAG_VALUE} characters; log long texts as a file"
        )


def parse_version(text: str) -> int | str:
    """Read a version's running number, or its semantic version (as text). Raises INVALID for anything else."""
    if text.isascii() and text.isdigit():
        # A number too large for the column belongs to no version, and neither does 0.
        return int(text) if len(text) <= len(str(MAX_NUMBER)) and int(text) <= MAX_NUMBER else 0
    if semver.read(text) is not None:
        return text
    raise invalid(Reason.VERSION_UNREADABLE, text=text)
