"""Open what a server has set up."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mltrail_server.artifacts.encryption import Decryption
    from mltrail_server.services.backups.backup import Origin
    from mltrail_server.services.context.deps import Deps
    from mltrail_server.settings import Settings

SIGNING_KEY = "signing-key.pem"
"""What the file of MLTRAIL_SIGNING_KEY is called in a backup."""


def open_server(settings: "Settings") -> "Deps":
    """Open what a server has set up. Raises CONFLICT if none has: in a new, empty database nothing would be wrong, or
    every file would be an orphan.
    """
    from mltrail_server.app import create_deps

    check_is_set_up(settings)
    return create_deps(settings)


def open_origin(settings: "Settings") -> "Origin":
    """Open what is to be backed up or moved. Its schema may be older than this version's: a backup comes before the
    upgrade. An incomplete database is refused: its backup would be the newest one, and `--keep` would remove good
    ones.
    """
    from mltrail_server.app import create_files
    from mltrail_server.domain.clock import system_clock
    from mltrail_server.services.backups.backup import Origin
    from mltrail_server.services.promotion import provenance
    from mltrail_server.settings import kept_secrets
    from mltrail_server.store.db.database import Database

    signer = provenance.signer(settings)
    check_is_set_up(settings)
    secrets = kept_secrets.existing(settings.data_path)
    if signer is not None and Path(settings.signing_key).is_file():
        secrets[SIGNING_KEY] = Path(settings.signing_key).read_text(encoding="utf-8")
    database = Database(settings.database, sqlite_synchronous=settings.sqlite_synchronous)
    return Origin(database, create_files(settings), system_clock, secrets, signer)


def open_decryption(settings: "Settings") -> "Decryption | None":
    """Return what decrypts backups, or None if MLTRAIL_BACKUP_IDENTITY is not set."""
    from mltrail_server.artifacts.encryption import Decryption

    return Decryption(Path(settings.backup_identity)) if settings.backup_identity else None


def check_apart(settings: "Settings", place: str) -> None:
    """Refuse backups in the file store, where each would be an orphan, or a file store among backups."""
    from mltrail_server.domain.errors import invalid

    def spelled(text: str) -> str:
        return f"{text.rstrip('/')}/" if text.startswith("s3://") else f"{Path(text).resolve()}/"

    files = spelled(settings.artifacts if settings.s3_place else str(settings.artifacts_path))
    backups = spelled(place)
    if files.startswith(backups) or backups.startswith(files):
        raise invalid(f"Backups can't be in the same place as the files ({files}): choose another folder or prefix.")


def check_is_set_up(settings: "Settings") -> None:
    """Raise CONFLICT if no server has set up the database."""
    from mltrail_server.domain.errors import conflict
    from mltrail_server.store.db import migrate

    if not migrate.is_set_up(settings.database):
        where = "MLTRAIL_DATABASE_URL" if settings.database_url else settings.data_path.resolve()
        raise conflict(
            f"No server has set up the database at {where}. Give this command the same variables or --data-dir as "
            "`mltrail-server serve`."
        )
