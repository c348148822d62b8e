"""Open what a server has set up."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mltrail_server.services.context.deps import Deps
    from mltrail_server.settings import Settings


def open_server(settings: "Settings") -> "Deps":
    """Open what a server has set up. In a new, empty database nothing would be wrong, or every file an orphan."""
    from mltrail_server.app import create_deps
    from mltrail_server.domain.errors import conflict
    from mltrail_server.store.db import migrate

    if not migrate.is_set_up(settings.database):
        where = "MLTRAIL_DATABASE_URL" if settings.database_url else settings.data_path.resolve()
        raise conflict(
            f"No server has set up the database of {where}. Give this command what `mltrail-server serve` has: "
            "the same variables, or --data-dir."
        )
    return create_deps(settings)
