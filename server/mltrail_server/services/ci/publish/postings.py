"""Which notes could not be written, and why: for people who look for one."""

from dataclasses import dataclass

from mltrail_server.store.ci import merge_requests, posts
from mltrail_server.store.db.transaction import Transaction

from . import notes

DELETED = "Somebody has deleted the note. It comes back when a report job asks for it."


@dataclass(frozen=True, slots=True)
class Problem:
    """`told` says why, for people. `again_ms` is when it is tried again by itself, None when it is not."""

    merge_request_iid: int
    merge_request_url: str
    told: str
    attempts: int
    again_ms: int | None


def problems(tx: Transaction) -> list[Problem]:
    """List what could not be posted in a project, the newest merge request first, a hundred at most. Two statements."""
    failed = posts.failed(tx)
    urls = merge_requests.urls(tx, [post.iid for post in failed])
    return [
        Problem(
            post.iid,
            urls[post.iid],
            DELETED if post.problem == notes.DELETED else post.problem or "",
            post.failures,
            post.next_ms,
        )
        for post in failed
    ]
