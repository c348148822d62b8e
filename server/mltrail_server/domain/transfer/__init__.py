"""A history that moves from one tracking server to another: its records, their source, and what was lost."""

from .counts import Counts, Entity
from .findings import Finding, Findings, Loss
from .records import (
    AssessmentRecord,
    DatasetRecord,
    EvaluationDatasetRecord,
    EvaluationRowRecord,
    ExperimentRecord,
    FileOwner,
    FileRecord,
    LoggedModelRecord,
    ModelLink,
    ModelMetricRecord,
    ModelRecord,
    Point,
    RunRecord,
    ScorerRecord,
    TraceRecord,
    VersionRecord,
)
from .source import GoneError, Source

__all__ = [
    "AssessmentRecord",
    "Counts",
    "DatasetRecord",
    "Entity",
    "EvaluationDatasetRecord",
    "EvaluationRowRecord",
    "ExperimentRecord",
    "FileOwner",
    "FileRecord",
    "Finding",
    "Findings",
    "GoneError",
    "LoggedModelRecord",
    "Loss",
    "ModelLink",
    "ModelMetricRecord",
    "ModelRecord",
    "Point",
    "RunRecord",
    "ScorerRecord",
    "Source",
    "TraceRecord",
    "VersionRecord",
]
