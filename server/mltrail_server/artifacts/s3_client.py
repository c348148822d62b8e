"""The client for S3, created when it is first needed, and its errors translated for users.

boto3 is imported only here and only then, so that it costs a server with a local folder neither time nor memory.
"""

import importlib.util
import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from mltrail_server.domain.errors import MltrailError, invalid, not_found, unavailable
from mltrail_server.telemetry.measured import MEASURED
from mltrail_server.telemetry.tracing import TRACING

if TYPE_CHECKING:
    from botocore.exceptions import ClientError
    from mypy_boto3_s3 import S3Client

_MISSING = frozenset({"404", "NoSuchKey", "NoSuchUpload", "NotFound"})
_WRONG_PARTS = frozenset({"EntityTooSmall", "InvalidPart", "InvalidPartOrder", "MalformedXML"})
_CONNECTIONS = 32

_BEGAN = "mltrail.began"

_log = logging.getLogger(__name__)


class LazyClient:
    """Creates boto3's client once, for all threads. Credentials and region come from the environment, as for AWS's own
    tools: variables, a profile, the machine's role.
    """

    def __init__(self, endpoint_url: str, *, patient: bool = True) -> None:
        """Unless it is `patient`, it gives up within seconds on a store that does not respond: for health checks.

        Raises INVALID if boto3 is not installed.
        """
        if importlib.util.find_spec("boto3") is None:
            raise invalid("Files and backups in S3 need the extra `s3`: install mltrail[server,s3].")
        self._endpoint_url = endpoint_url
        self._patient = patient
        self._making = threading.Lock()
        self._made: S3Client | None = None

    @property
    def api(self) -> "S3Client":
        with self._making:
            if self._made is None:
                self._made = _make(self._endpoint_url, patient=self._patient)
            return self._made


def _make(endpoint_url: str, *, patient: bool) -> "S3Client":
    import boto3  # noqa: PLC0415 - see above
    from botocore.config import Config  # noqa: PLC0415

    config = Config(
        signature_version="s3v4",
        connect_timeout=5 if patient else 2,
        read_timeout=60 if patient else 2,
        max_pool_connections=_CONNECTIONS,
        retries={"mode": "standard", "total_max_attempts": 4 if patient else 1},
        # Outside AWS, bucket names are rarely host names.
        s3={"addressing_style": "path" if endpoint_url else "auto"},
        # Other stores don't know AWS's newer checksums. TLS, or the signature, protects what is sent.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    # A separate session: boto3's default one can't be shared between threads while clients are created.
    client = boto3.session.Session().client("s3", endpoint_url=endpoint_url or None, config=config)
    # https://docs.aws.amazon.com/boto3/latest/guide/events.html
    client.meta.events.register("before-call.s3", _begin)
    client.meta.events.register("after-call.s3", _ended)
    client.meta.events.register("after-call-error.s3", _failed)
    return client


def _begin(context: dict[str, Any], **_: object) -> None:
    context[_BEGAN] = time.perf_counter()


def _ended(http_response: Any, model: Any, context: dict[str, Any], **_: object) -> None:  # noqa: ANN401 - botocore's
    _report(model.name, str(http_response.status_code), time.perf_counter() - context[_BEGAN])


def _failed(context: dict[str, Any], event_name: str, **_: object) -> None:
    _report(event_name.rpartition(".")[2], "error", time.perf_counter() - context[_BEGAN])


def _report(operation: str, status: str, seconds: float) -> None:
    MEASURED.to.s3_call(operation, status, seconds)
    if TRACING.tracer is not None:
        known = {"error.type": status} if status == "error" else {"http.response.status_code": int(status)}
        TRACING.record(f"S3.{operation}", seconds, {"rpc.system": "aws-api", "rpc.method": operation, **known})


@contextmanager
def translating_errors(what: str) -> Iterator[None]:
    """Translate S3's errors for the client; the log has the details. `what` says what could not be done."""
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - see above

    try:
        yield
    except ClientError as error:
        raise _translated(error, what) from error
    except BotoCoreError as error:
        _log.error("S3 is not responding: %s", error)
        raise _unavailable(what) from error


def _translated(error: "ClientError", what: str) -> MltrailError:
    code = error.response.get("Error", {}).get("Code", "")
    if code in _MISSING:
        return not_found("The file's content is missing from the store; tell the operator.")
    if code in _WRONG_PARTS:
        return invalid(f"The parts don't make up the file ({code}). Send the file again.")
    _log.error("S3 refuses to %s: %s", what, error)
    return _unavailable(what)


def _unavailable(what: str) -> MltrailError:
    return unavailable(
        f"The server can't {what} at present: its file store is failing. Nothing was changed; try again "
        "later, or tell whoever runs the server."
    )
