"""Pieces that several of MLflow's messages share."""

import msgspec

from mltrail_server.domain.candidate import Stage
from mltrail_server.domain.errors import not_found

MAX_INT64 = 2**63 - 1


class Tag(msgspec.Struct):
    key: str
    value: str = ""


def stage_name(stage: Stage) -> str:
    return "deleted" if stage is Stage.DELETED else "active"


def experiment_number(experiment_id: str) -> int:
    """Read an experiment's id. What is not a number can't exist."""
    if not (experiment_id.isascii() and experiment_id.isdigit()) or int(experiment_id) > MAX_INT64:
        raise not_found(f"No Experiment with id={experiment_id} exists")
    return int(experiment_id)
