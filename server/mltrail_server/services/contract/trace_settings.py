"""What the contract on the default branch says about traces: what is redacted, and how long they are kept."""

import logging

from mltrail_contract import ContractError, TraceSettings
from mltrail_server.domain.errors import Code, MltrailError, invalid
from mltrail_server.services.context.deps import PROJECT_AGE_MS, Scope
from mltrail_server.store.review import contracts as contract_store

from . import contracts

_UNREAD = (Code.UNAVAILABLE, Code.NOT_FOUND, Code.FORBIDDEN)
_MOST_PIPELINES = 100  # how many of the newest are searched for a contract file
_log = logging.getLogger(__name__)


def of_project(scope: Scope) -> TraceSettings:
    """Return what the contract says, as it was at most a minute ago, and what the server's settings add.

    This may ask GitLab, so call it before a transaction begins. If GitLab does not answer, what was last known counts.
    Raises UNAVAILABLE if nothing is, and INVALID for a contract file that is wrong: what nobody knows can't be taken
    out. A project whose files mltrail's bot can't see has no contract.
    """
    own = scope.deps.settings.redacted_patterns
    if scope.deps.team is None:
        return TraceSettings(redact=own)
    known = scope.deps.trace_settings.get(scope.project_id)
    if known is None or scope.now - known[0] >= contracts.REREAD_AFTER_MS:
        try:
            known = (scope.now, _read(scope))
        except MltrailError as error:
            if error.code not in _UNREAD:
                raise
            _log.warning("the contract of project %s: %s", scope.project_id, error.message)
            known = (scope.now, known[1] if known is not None else _stored(scope, error))
        scope.deps.trace_settings[scope.project_id] = known
    found = known[1]
    return TraceSettings(redact=(*found.redact, *own), keep_ms=found.keep_ms) if own else found


def _read(scope: Scope) -> TraceSettings:
    branch = scope.ci.gitlab.project(scope.project_id, max_age_ms=PROJECT_AGE_MS).default_branch
    if branch is None:
        return TraceSettings()
    try:
        contract = contracts.read(scope.ci, branch)
    except ContractError as error:
        return _last_valid(scope, branch, error)
    return contract.traces if contract is not None else TraceSettings()


def _last_valid(scope: Scope, branch: str, error: ContractError) -> TraceSettings:
    with scope.project.read() as tx:
        texts = contract_store.read_from(tx, branch, among=_MOST_PIPELINES)
    found = next((one.contract for one in map(contracts.parsed, texts) if one.contract is not None), None)
    if found is None:
        raise invalid(
            f"The contract file on {branch} is invalid, so mltrail does not know what to redact, and stores no traces. "
            "`mltrail contract check` says what is wrong."
        ) from error
    return found.traces


def _stored(scope: Scope, error: MltrailError) -> TraceSettings:
    with scope.project.read() as tx:
        text = contract_store.newest(tx, among=_MOST_PIPELINES)
    found = contracts.parsed(text).contract
    if found is None and error.code is Code.UNAVAILABLE:
        raise error
    return found.traces if found is not None else TraceSettings()
