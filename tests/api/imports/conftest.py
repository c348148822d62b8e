"""Imports of a fake history into project 1."""

from typing import Any, Protocol

import pytest

from mltrail_server.domain.ids import ProjectId
from mltrail_server.domain.transfer import Findings
from mltrail_server.services.context.deps import Deps
from mltrail_server.services.imports import importer
from mltrail_server.services.imports.plan import Plan
from mltrail_server.services.imports.progress import Progress
from mltrail_server.services.imports.report import Report
from tests.fakes.history import FakeSource, history


class Bring(Protocol):
    def __call__(self, source: FakeSource, *, dry_run: bool = False, **plan: Any) -> Report: ...


def bring_into(deps: Deps, source: FakeSource, *, dry_run: bool = False, **plan: Any) -> Report:
    """Import as the command does, in no time."""
    plans = [Plan(ProjectId(1), "1", **plan)]
    source.findings = Findings()
    return importer.bring(deps, source, plans, source.findings, Progress(lambda: 0.0), dry_run=dry_run)


@pytest.fixture
def bring(deps: Deps) -> Bring:
    return lambda source, **options: bring_into(deps, source, **options)


@pytest.fixture
def source() -> FakeSource:
    return history()
