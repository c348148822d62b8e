"""Encryption of backups in the format of age, so that the `age` command can open them, too.

https://age-encryption.org/v1. Needs the extra `backup`. A file is encrypted for public keys ("recipients"); whoever
makes backups can't read them. age authenticates what it encrypts: a changed file is an error, not other content.
"""

import io
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from mltrail_server.domain.errors import Code, MltrailError, invalid

from .destination import Sink

if TYPE_CHECKING:
    from types import ModuleType

_SSH = "ssh-"
_SSH_PRIVATE = "-----BEGIN"


class Encryption:
    """Encrypts for some public keys: anyone of their owners can read it."""

    def __init__(self, recipients: Sequence[str]) -> None:
        """Take public keys as `age-keygen` prints them (`age1…`), or of SSH. Raises INVALID, with the number of a key
        that is none.
        """
        pyrage = _library()
        self.recipients = tuple(sorted(recipients))
        self._keys: list[Any] = []
        for number, text in enumerate(recipients, start=1):
            kind = pyrage.ssh if text.startswith(_SSH) else pyrage.x25519
            try:
                self._keys.append(kind.Recipient.from_str(text))
            except (pyrage.RecipientError, ValueError) as error:
                raise invalid(
                    f"Recipient {number} of MLTRAIL_BACKUP_RECIPIENTS is not a public key of age (age1…, which "
                    "age-keygen prints) or of SSH (ssh-ed25519 …)."
                ) from error

    def encrypt(self, source: BinaryIO, sink: Sink) -> None:
        """Encrypt all of `source`. Raises what reading or writing raises."""
        pyrage = _library()
        reader, writer = _Watched(source), _Watched(sink)
        try:
            pyrage.encrypt_io(reader, writer, self._keys)
        except (pyrage.EncryptError, OSError) as error:
            raise reader.error or writer.error or error from error


class Decryption:
    """Decrypts with private keys."""

    def __init__(self, identity: Path) -> None:
        """Read a file of private keys, as `age-keygen` writes it, or one of SSH without a passphrase."""
        pyrage = _library()
        try:
            content = identity.read_bytes()
            text = content.decode()
            if text.startswith(_SSH_PRIVATE):
                self._keys: list[Any] = [pyrage.ssh.Identity.from_buffer(content)]
            else:
                lines = [line.strip() for line in text.splitlines()]
                keys = [line for line in lines if line and not line.startswith("#")]
                self._keys = [pyrage.x25519.Identity.from_str(key) for key in keys]
        except OSError as error:
            raise invalid(f"MLTRAIL_BACKUP_IDENTITY names a file that can't be read ({error.strerror}).") from error
        except (pyrage.IdentityError, ValueError) as error:
            raise _no_identity() from error
        if not self._keys:
            raise _no_identity()

    def decrypt(self, source: BinaryIO, sink: Sink) -> None:
        """Decrypt all of `source`. Raises FORBIDDEN if none of the keys fits, and INVALID for what is damaged."""
        pyrage = _library()
        reader, writer = _Watched(source), _Watched(sink)
        try:
            pyrage.decrypt_io(reader, writer, self._keys)
        except (pyrage.DecryptError, OSError) as error:
            if cause := reader.error or writer.error:
                raise cause from error
            if "matching keys" in str(error):
                raise MltrailError(
                    Code.FORBIDDEN,
                    "No key in MLTRAIL_BACKUP_IDENTITY can decrypt this backup: it was encrypted for another key.",
                ) from error
            raise invalid("An encrypted file is damaged: it can't be decrypted.") from error

    @contextmanager
    def opened(self, source: BinaryIO) -> Iterator[BinaryIO]:
        """Decrypt while it is read: another thread decrypts into a pipe. The last `read` raises what `decrypt` does."""
        reading, writing = os.pipe()
        failed: list[BaseException] = []

        def work() -> None:
            try:
                with os.fdopen(writing, "wb", buffering=0) as pipe:
                    self.decrypt(source, pipe)
            except BaseException as error:  # noqa: BLE001 - the reader raises it
                failed.append(error)

        thread = threading.Thread(target=work, name="decryption", daemon=True)
        thread.start()
        reader = _Piped(reading, thread, failed)
        try:
            yield io.BufferedReader(reader, 1 << 16)
        finally:
            reader.close()
            thread.join()


class _Piped(io.RawIOBase):
    """The end of a pipe that another thread writes to."""

    def __init__(self, descriptor: int, thread: threading.Thread, failed: list[BaseException]) -> None:
        self._descriptor = descriptor
        self._thread = thread
        self._failed = failed

    def readable(self) -> bool:
        return True

    def readinto(self, room: Any) -> int:  # noqa: ANN401 - any buffer
        data = os.read(self._descriptor, len(room))
        if not data:
            self._thread.join()
            if self._failed:
                raise self._failed[0]
        room[: len(data)] = data
        return len(data)

    def close(self) -> None:
        if not self.closed:
            with suppress(OSError):
                os.close(self._descriptor)
        super().close()


class _Watched:
    """Passes reads and writes on, and remembers what they raise: the library would turn it into a text."""

    def __init__(self, inner: Any) -> None:  # noqa: ANN401 - a reader or a writer
        self._inner = inner
        self.error: BaseException | None = None

    def read(self, size: int = -1) -> bytes:
        with self._remembering():
            data: bytes = self._inner.read(size)
            return data

    def write(self, data: bytes) -> int:
        with self._remembering():
            self._inner.write(data)
            return len(data)

    def flush(self) -> None:
        with self._remembering():
            self._inner.flush()

    @contextmanager
    def _remembering(self) -> Iterator[None]:
        try:
            yield
        except BaseException as error:
            self.error = error
            raise


def _library() -> "ModuleType":
    try:
        import pyrage  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise invalid("Encrypted backups need the extra `backup`: install mltrail[server,backup].") from error
    module: ModuleType = pyrage
    return module


def _no_identity() -> MltrailError:
    return invalid(
        "MLTRAIL_BACKUP_IDENTITY must name a file of private keys as age-keygen writes it (AGE-SECRET-KEY-1…), or an "
        "SSH key without a passphrase."
    )
