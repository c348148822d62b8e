"""Whether a server can take calls."""

from mltrail_server.domain.errors import MltrailError, unavailable
from mltrail_server.services.context.deps import Deps
from mltrail_server.store.db import migrate


def check(deps: Deps) -> None:
    """Raise UNAVAILABLE unless database and file store answer, and the schema is one that this version can run on.

    A later version may have migrated the database while this server is running: a balancer then sends it no more calls.
    """
    try:
        migrate.check_can_run(deps.db)
    except MltrailError as error:
        raise unavailable(error.message) from error
    deps.files.ping()
