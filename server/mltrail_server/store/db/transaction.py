"""A transaction that belongs to one project. Store functions take it, so that none reads or writes without a tenant."""

from dataclasses import dataclass

import sqlalchemy as sa

from mltrail_server.domain.ids import ProjectId


@dataclass(frozen=True, slots=True)
class Transaction:
    """`now` is when it began, in milliseconds since 1970: what is written together bears one time."""

    connection: sa.Connection
    project_id: ProjectId
    now: int
