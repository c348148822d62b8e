"""Open what a history is imported from."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from mltrail_server.domain.transfer import Findings, Source
from mltrail_server.services.imports.map_file import Kind, SourceSpec
from mltrail_server.settings import Settings

if TYPE_CHECKING:
    from mltrail_server.sources.artifacts import Access
    from mltrail_server.sources.credentials import Credentials


def open_source(settings: Settings, spec: SourceSpec, findings: Findings) -> Source:
    """Make the reader of a source. What it loses goes to `findings`."""
    access = _access(settings, spec)
    if spec.kind is Kind.MLFLOW:
        from mltrail_server.sources.mlflow_rest import MlflowRest

        return MlflowRest(spec.address, findings, credentials(settings), access=access, verify=_verification())
    if spec.kind is Kind.DATABASE:
        from mltrail_server.sources.mlflow_database import MlflowDatabase

        return MlflowDatabase(spec.address, findings, access)
    if spec.kind is Kind.FOLDER:
        from mltrail_server.sources.mlruns_folder import MlrunsFolder

        return MlrunsFolder(Path(spec.address), findings, access)
    if spec.kind is Kind.EXPORT:
        from mltrail_server.sources.export_folder import ExportFolder

        return ExportFolder(Path(spec.address), findings, access)
    from mltrail_server.sources.gitlab_experiments import GitLabExperiments

    return GitLabExperiments(spec.address, spec.project, findings, credentials(settings), verify=_verification())


def credentials(settings: Settings) -> "Credentials":
    """How to sign in at the source. Never an option: other people can see a command's options."""
    from mltrail_server.sources.credentials import Credentials

    return Credentials(settings.import_token, settings.import_username, settings.import_password)


def _verification() -> bool | str:
    """Whose certificates are trusted: MLflow's own variables can name an authority's file, or turn the check off."""
    if os.environ.get("MLFLOW_TRACKING_INSECURE_TLS", "").strip().lower() in ("true", "1"):
        return False
    return os.environ.get("MLFLOW_TRACKING_SERVER_CERT_PATH", "").strip() or True


def _access(settings: Settings, spec: SourceSpec) -> "Access":
    from mltrail_server.sources.artifacts import Access

    endpoint = settings.import_s3_endpoint_url or settings.s3_endpoint_url
    return Access(spec.artifacts, spec.artifacts_root, credentials(settings), endpoint)
