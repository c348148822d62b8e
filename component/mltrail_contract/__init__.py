"""The contract file `.mltrail.yml`: what a project expects of its models.

The server and the job side both read it with this package, so that `mltrail contract check` on a laptop says what the
server will say.
"""

from .model import (
    FILE_NAME,
    Baseline,
    BaselineKind,
    CaseTable,
    Contract,
    Evaluation,
    GateSettings,
    HigherOrLower,
    Imported,
    Keep,
    Measure,
    Model,
    Outcome,
    Promote,
    QualityCriteria,
    Rule,
    Runs,
    Then,
    Tolerance,
    TraceSettings,
    Value,
)
from .problems import ContractError, Problem
from .reading import read
from .text import decoded

__all__ = [
    "FILE_NAME",
    "Baseline",
    "BaselineKind",
    "CaseTable",
    "Contract",
    "ContractError",
    "Evaluation",
    "GateSettings",
    "HigherOrLower",
    "Imported",
    "Keep",
    "Measure",
    "Model",
    "Outcome",
    "Problem",
    "Promote",
    "QualityCriteria",
    "Rule",
    "Runs",
    "Then",
    "Tolerance",
    "TraceSettings",
    "Value",
    "decoded",
    "read",
]
