"""Browser sessions. The one table without a project, since a signed-in user may see several."""

from sqlalchemy import BigInteger, Column, Index, String, Table, Text

from .base import METADATA

web_session = Table(
    "web_session",
    METADATA,
    Column("id_sha256", String(64), primary_key=True),  # only the browser has the session's id
    Column("sealed", Text, nullable=False),  # the GitLab tokens, encrypted with a key that needs the id
    Column("refresh_ms", BigInteger, nullable=False),  # when the token has to be exchanged for a new one
    Column("claimed_until_ms", BigInteger, nullable=False, default=0),  # until then somebody is exchanging it
    Column("expires_ms", BigInteger, nullable=False),
    Index("ix_web_session_expires", "expires_ms"),
)
