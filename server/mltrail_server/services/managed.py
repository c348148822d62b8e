"""Which aliases and stages only promotions give, also before the first promotion.

Once a project promotes (it has promoted a version, or its contract permits it to), `champion` and the stage Production
are given by promotion in all its models, and so is the alias that the contract names for a model. Without a contract
that promotes and without a promotion, all aliases are free, as in MLflow.
"""

import logging
import unicodedata
from dataclasses import dataclass

import sqlalchemy as sa

from mltrail_contract import Contract, ContractError, Promote
from mltrail_server.domain.errors import MltrailError
from mltrail_server.store import contracts as contract_store
from mltrail_server.store import promotions

from . import contracts
from .deps import PROJECT_AGE_MS, Scope

CHAMPION = Promote().alias
"""The alias that promotions move where no contract names another."""

_MOST_PIPELINES = 100
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Promoting:
    """What the contract on the default branch says of promotions. `broken`: there is one that can't be read."""

    contract: Contract | None = None
    broken: bool = False

    @property
    def by_contract(self) -> bool:
        """Tell whether the contract promotes any model; one that can't be read may."""
        models = self.contract.models.values() if self.contract else ()
        return self.broken or any(model.promote is not None for model in models)

    def alias_of(self, model: str) -> str | None:
        """Name the alias that the contract gives to promotions of a model."""
        found = self.contract.models.get(model) if self.contract else None
        return found.promote.alias if found is not None and found.promote is not None else None


def promoting(scope: Scope) -> Promoting:
    """Read the contract of the default branch: from GitLab, or else as it was read for the newest pipeline.

    It asks GitLab, so call it before a transaction begins.
    """
    if scope.deps.gitlab is None:
        return Promoting()
    try:
        default_branch = scope.deps.gitlab.project(scope.project_id, max_age_ms=PROJECT_AGE_MS).default_branch
        if default_branch is None:
            return Promoting()
        return Promoting(contracts.read(scope.deps.gitlab, scope.project_id, default_branch))
    except ContractError:
        return Promoting(broken=True)
    except MltrailError as error:
        _log.warning("the contract of project %s: %s", scope.project_id, error.message)
    with scope.deps.db.read() as connection:
        text = contract_store.newest(connection, scope.project_id, among=_MOST_PIPELINES)
    known = contracts.parsed(text)
    return Promoting(known.contract, broken=bool(known.problems))


def in_use(connection: sa.Connection, scope: Scope, told: Promoting) -> bool:
    """Tell whether the project promotes."""
    return told.by_contract or promotions.any_in(connection, scope.project_id)


def aliases_of(
    connection: sa.Connection, scope: Scope, model: str, told: Promoting, *, model_id: int | None = None
) -> set[str]:
    """List the aliases that only promotions move, as they are spelt, of models of this name, and of this one."""
    found = promotions.managed_aliases_of_name(connection, scope.project_id, model)
    if model_id is not None:
        found |= promotions.managed_aliases(connection, scope.project_id, model_id)
    by_contract = told.alias_of(model)
    if by_contract:
        found.add(by_contract)
    if in_use(connection, scope, told):
        found.add(CHAMPION)
    return found


def folded(alias: str) -> str:
    """Fold what looks alike: case, width, ligatures and accents."""
    plain = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", alias).casefold())
    return "".join(one for one in plain if not unicodedata.combining(one)).casefold()
