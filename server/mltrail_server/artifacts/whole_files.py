"""A store without direct access for clients: everything goes through the server, in whole files."""

from collections.abc import Iterable
from typing import NoReturn

from mltrail_server.domain.errors import Code, MltrailError
from mltrail_server.domain.ids import ProjectId

from .base import MultipartUpload, UploadPart


def refused() -> MltrailError:
    return MltrailError(
        Code.NOT_IMPLEMENTED, "This server's file store accepts only whole files; send or fetch the file in one call."
    )


class WholeFiles:
    """The methods of `base.FileStore` that such a store does not have."""

    def begin(self, _project_id: ProjectId) -> MultipartUpload:
        raise refused()

    def part_url(self, _project_id: ProjectId, _begun: MultipartUpload, _number: int) -> str:
        raise refused()

    def complete(self, _project_id: ProjectId, _begun: MultipartUpload, _parts: Iterable[UploadPart]) -> int:
        raise refused()

    def abort(self, _project_id: ProjectId, _begun: MultipartUpload) -> NoReturn:
        raise refused()

    def download_url(self, _project_id: ProjectId, _blob_id: str, *, disposition: str) -> str:  # noqa: ARG002 - the protocol's
        raise refused()
