"""Where the contract wants the gate to be seen beside the note: a thread that blocks the merge, a commit status."""

from mltrail_server.domain.ids import ProjectId
from mltrail_server.gitlab.client import GitLab

from . import commit_status, gate_thread
from .deps import Deps
from .reports import Report


def show(deps: Deps, gitlab: GitLab, project_id: ProjectId, report: Report, *, path: str) -> bool:
    """Show the gate where the binding contract asks for it. False when another process is at it, so that one has to
    come again. Raises what GitLab's refusal means.
    """
    contract = report.gate.contract.contract
    # The thread comes first: a person's override there decides what the status says.
    done = gate_thread.show(deps, gitlab, project_id, report) if contract and contract.faces.thread else True
    if contract and contract.faces.status:
        commit_status.show(deps, gitlab, project_id, report, path=path)
    return done
