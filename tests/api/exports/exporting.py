"""Export a project, and read what is in the folder."""

from pathlib import Path

from mltrail_server.domain.ids import ProjectId
from mltrail_server.domain.transfer import Findings, Loss
from mltrail_server.services.context.deps import Deps
from mltrail_server.services.exports import layout
from mltrail_server.services.exports.history import ProjectHistory
from mltrail_server.sources.export_folder import ExportFolder
from tests.sources.everything import everything

ONE, TWO, TEAM = ProjectId(1), ProjectId(2), ProjectId(42)


def written(deps: Deps, to: Path, project: ProjectId = ONE) -> layout.Written:
    return layout.write(deps, deps.project(project), str(project), to)


def history(deps: Deps, project: ProjectId = ONE) -> dict[str, str]:
    return everything(ProjectHistory(deps, project, str(project), Findings()))


def losses(findings: Findings) -> list[str]:
    return [one.line() for one in findings.kept if one.loss is not Loss.NOTE]


def read(to: Path) -> dict[str, str]:
    findings = Findings()
    found = everything(ExportFolder(to, findings))
    assert losses(findings) == []
    return found
