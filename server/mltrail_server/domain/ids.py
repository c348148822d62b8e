"""Types of identifiers, and how they are made."""

import re
import secrets
import uuid
from typing import NewType

ProjectId = NewType("ProjectId", int)
"""GitLab's numeric project id: the tenant."""

_BLOB_ID = re.compile("[0-9a-f]{32}")
_EID = re.compile(r"[A-Za-z0-9][\w-]{0,255}", re.ASCII)


def new_eid() -> str:
    """Make a candidate's public id, which is the MLflow run id: 32 hexadecimal digits."""
    return uuid.uuid4().hex


def new_logged_model_id() -> str:
    """Make the id of a logged model. MLflow 3 distinguishes it from a run id by the prefix `m-`."""
    return f"m-{uuid.uuid4().hex}"


def new_blob_id() -> str:
    """Make the opaque key under which bytes are stored. Two uploads never share one."""
    return secrets.token_hex(16)


def is_blob_id(text: str) -> bool:
    """Return whether a text that comes from elsewhere is one; it becomes a part of a path in the file store."""
    return _BLOB_ID.fullmatch(text) is not None


def is_eid(text: str) -> bool:
    return _EID.fullmatch(text) is not None
