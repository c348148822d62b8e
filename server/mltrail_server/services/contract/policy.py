"""The policy of promotions: what the contract file says about promoting a model, or the default without one."""

import fnmatch
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mltrail_contract import FILE_NAME, Contract, Model, Problem, Promote
from mltrail_server.domain.selection import as_text

_WITHOUT_CONTRACT = Promote(reuse_reviewed=True)
_PROMOTE_LINE = "promote: {reuse_reviewed: true}"


@dataclass(frozen=True, slots=True)
class Policy:
    """How one model may be promoted. `model` is the contract's; `promote` is None if the contract does not allow it."""

    model: Model
    promote: Promote | None
    problem: str = ""  # why nothing may be promoted at all
    by_contract: bool = True
    named: bool = True  # whether the contract mentions the model

    @property
    def allow_worse(self) -> tuple[str, ...]:
        return self.promote.allow_worse if self.promote else ()

    def line(self, key: str, value: str, quoted: Callable[[str], str] = "`{}`".format) -> str:
        """Write a line about the model that a person can copy to the contract file, and say where it belongs."""
        name = as_text(self.model.name)
        if self.by_contract:
            return f"{quoted(f'{key}: {{{value}}}')} below {quoted(f'models: {name}:')} in {quoted(FILE_NAME)}"
        # A contract without `promote:` would stop all promotion.
        if key == "promote":
            lines = f"{key}: {{{value}, reuse_reviewed: true}}"
        else:
            lines = f"{key}: {{{value}}}, {_PROMOTE_LINE}"
        return f"a {quoted(FILE_NAME)} with {quoted('version: 1')} and {quoted(f'models: {{{name}: {{{lines}}}}}')}"

    def refusal(self, ref: str, *, default_branch: str | None, tag: bool) -> str | None:
        """Say why this ref does not promote the model; None if it does."""
        if self.problem:
            return self.problem
        if self.promote is None:
            return "the contract file has no `promote:` for it" if self.named else "the contract file does not name it"
        origins = self.promote.origins
        if _includes(origins, ref, default_branch=default_branch, tag=tag):
            return None
        names = {"default": f"the default branch ({default_branch})", "tags": "tags"}
        allowed = ", ".join(names.get(origin, f"branches like {origin}") for origin in origins)
        return f"promotion is for {allowed or 'no branch'}, not for '{ref}'"


def of_model(contract: Contract | None, problems: Sequence[Problem], model: str) -> Policy:
    """Return the policy for a model, from the contract that binds a pipeline or from what is wrong with it."""
    if problems:
        return Policy(Model(model), None, f"the contract file can't be read ({problems[0]})")
    if contract is None:
        return Policy(Model(model), _WITHOUT_CONTRACT, by_contract=False)
    rules = contract.models.get(model)
    return Policy(Model(model), None, named=False) if rules is None else Policy(rules, rules.promote)


def _includes(origins: Sequence[str], ref: str, *, default_branch: str | None, tag: bool) -> bool:
    """Whether promotion from these origins (`default`, `tags`, or patterns of branches) includes a ref."""
    if tag:
        return "tags" in origins
    if ref == default_branch and "default" in origins:
        return True
    return any(fnmatch.fnmatchcase(ref, origin) for origin in origins if origin not in ("default", "tags"))
