"""How large a file may be."""

from mltrail_server.domain.errors import Code, MltrailError


def check_size(size: int, limit: int | None) -> None:
    """Raise TOO_LARGE past the limit, in bytes."""
    if limit is not None and size > limit:
        raise MltrailError(Code.TOO_LARGE, f"The file is larger than the {limit} bytes allowed here.")
