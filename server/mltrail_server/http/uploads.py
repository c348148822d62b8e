"""How large a file is that somebody sends."""

from flask import Request

from mltrail_server.domain.errors import invalid


def announced_size(request: Request) -> int:
    """Read the announced size of a body, in bytes. Raises INVALID where none is announced.

    The end of a chunked body can't be told from a lost connection. MLflow's client sends empty files like that.
    """
    if request.content_length is not None:
        return request.content_length
    if request.stream.read(1):
        raise invalid("Send the file with a Content-Length, so that an upload that was cut off is noticed.")
    return 0
