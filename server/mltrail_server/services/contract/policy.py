"""On which terms a model is promoted: what the contract file says of it, or what holds where there is none."""

import fnmatch
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mltrail_contract import FILE_NAME, Contract, Model, Problem, Promote
from mltrail_server.domain.selection import as_text

_DEFAULT = Promote(reuse_reviewed=True)


@dataclass(frozen=True, slots=True)
class Policy:
    """`model` is the contract's; `promote` is None where the contract speaks of the model and does not permit it."""

    model: Model
    promote: Promote | None
    problem: str = ""  # why nothing may be promoted at all
    by_contract: bool = True
    named: bool = True  # whether the contract speaks of the model

    @property
    def allow_worse(self) -> tuple[str, ...]:
        return self.promote.allow_worse if self.promote else ()

    def line(self, key: str, value: str, quoted: Callable[[str], str] = "`{}`".format) -> str:
        """Write a line about the model for the contract file as a person can copy it, and say where it goes."""
        name = as_text(self.model.name)
        if self.by_contract:
            return f"{quoted(f'{key}: {{{value}}}')} below {quoted(f'models: {name}:')} in {quoted(FILE_NAME)}"
        # A contract without `promote:` would stop all promotion.
        told = f"{key}: {{{value}, reuse_reviewed: true}}" if key == "promote" else f"{key}: {{{value}}}, {_PROMOTE}"
        return f"a {quoted(FILE_NAME)} with {quoted('version: 1')} and {quoted(f'models: {{{name}: {{{told}}}}}')}"

    def refusal(self, ref: str, *, default_branch: str | None, tag: bool) -> str | None:
        """Say why this ref does not promote the model; None when it does."""
        if self.problem:
            return self.problem
        if self.promote is None:
            return "the contract file has no `promote:` for it" if self.named else "the contract file does not name it"
        origins = self.promote.origins
        if tag and "tags" in origins:
            return None
        if not tag and "default" in origins and ref == default_branch:
            return None
        others = [origin for origin in origins if origin not in ("default", "tags")]
        if not tag and any(fnmatch.fnmatchcase(ref, origin) for origin in others):
            return None
        names = {"default": f"the default branch ({default_branch})", "tags": "tags"}
        allowed = ", ".join(names.get(origin, f"branches like {origin}") for origin in origins)
        return f"promotion is for {allowed or 'no branch'}, not for '{ref}'"


_PROMOTE = "promote: {reuse_reviewed: true}"


def of(contract: Contract | None, problems: Sequence[Problem], model: str) -> Policy:
    """Tell the terms for a model, by the contract that binds a pipeline or by what is wrong with it."""
    if problems:
        return Policy(Model(model), None, f"the contract file can't be read ({problems[0]})")
    if contract is None:
        return Policy(Model(model), _DEFAULT, by_contract=False)
    found = contract.models.get(model)
    return Policy(Model(model), None, named=False) if found is None else Policy(found, found.promote)
