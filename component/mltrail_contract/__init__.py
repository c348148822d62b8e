"""The contract file `.mltrail.yml`: what a project expects of its models.

Both sides read it with this package, so that what `mltrail contract check` says at a desk is what the server will say.
"""

from .model import (
    FILE_NAME,
    Baseline,
    BaselineKind,
    Contract,
    GateSettings,
    Keep,
    Model,
    Outcome,
    Promote,
    Rule,
    Runs,
    Then,
    Tolerance,
    Value,
    Way,
)
from .problems import ContractError, Problem
from .reading import read
from .text import decoded

__all__ = [
    "FILE_NAME",
    "Baseline",
    "BaselineKind",
    "Contract",
    "ContractError",
    "GateSettings",
    "Keep",
    "Model",
    "Outcome",
    "Problem",
    "Promote",
    "Rule",
    "Runs",
    "Then",
    "Tolerance",
    "Value",
    "Way",
    "decoded",
    "read",
]
