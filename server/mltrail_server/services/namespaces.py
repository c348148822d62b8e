"""Which projects may come at all: on gitlab.com anybody can make a project, and a token with our audience for it."""

from collections.abc import Sequence

from mltrail_server.domain.errors import forbidden


def allows(allowed: Sequence[str], path: str) -> bool:
    """Tell whether a project is in one of the allowed groups; none given means all are allowed."""
    return not allowed or any(path.lower().startswith(f"{namespace.lower()}/") for namespace in allowed)


def check(allowed: Sequence[str], path: str) -> None:
    """Refuse a project outside the allowed groups; none given means all are allowed.

    Raises FORBIDDEN. Nobody learns from it whether the project exists: the path alone decides.
    """
    if not allows(allowed, path):
        raise forbidden(
            f"This server does not take projects of '{path.rpartition('/')[0]}'. Its operator names the groups that "
            "may come in MLTRAIL_ALLOWED_NAMESPACES."
        )
