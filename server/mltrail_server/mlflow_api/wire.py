"""Pieces that several of MLflow's messages share."""

from collections.abc import Sequence
from typing import Annotated, Protocol

from msgspec import Meta

from mltrail_server.domain import limits
from mltrail_server.domain.candidate import Stage, ViewType
from mltrail_server.domain.errors import invalid, not_found
from mltrail_server.domain.reasons import Reason

from .messages import Message

OTLP_PATH = "/v1/traces"
"""Where OpenTelemetry's exporters send spans."""

MAX_INT64 = 2**63 - 1
_MOST_DIGITS = 19


class Tag(Message):
    key: str
    value: str = ""


TagList = Annotated[list[Tag], Meta(max_length=limits.MAX_LIST)]
Description = Annotated[str, Meta(max_length=limits.MAX_DESCRIPTION)]
Location = Annotated[str, Meta(max_length=limits.MAX_LOCATION)]


class NamesRun(Protocol):
    """A message that names a run: `run_id`, or `run_uuid` from old clients."""

    run_id: str | None
    run_uuid: str | None


def run_id_of(message: NamesRun) -> str:
    run_id = message.run_id or message.run_uuid
    if not run_id:
        raise invalid(Reason.FIELD_MISSING, field="run_id")
    return run_id


def stage_name(stage: Stage) -> str:
    return "deleted" if stage is Stage.DELETED else "active"


def experiment_number(experiment_id: str) -> int:
    """Read an experiment's id, a number as text. One that is too large for any column is an experiment that does not
    exist.
    """
    if not (experiment_id.isascii() and experiment_id.isdigit()):
        raise invalid(f"Invalid experiment ID: '{experiment_id[:60]}'. It must be a number, such as '1'.")
    if len(experiment_id) > _MOST_DIGITS or int(experiment_id) > MAX_INT64:
        raise not_found(Reason.NO_EXPERIMENT, iid=experiment_id[:60])
    return int(experiment_id)


def view_of(given: str | int | None) -> ViewType:
    """Read a view type, by name or by its number in MLflow's protocol."""
    if given is None:
        return ViewType.ACTIVE_ONLY
    text = str(given)
    if text in ViewType.__members__:
        return ViewType[text]
    if text.isascii() and text.isdigit() and int(text) in list(ViewType):
        return ViewType(int(text))
    raise invalid(f"Invalid view type '{given}': use one of {', '.join(ViewType.__members__)}.")


def check_length(name: str, given: Sequence[object] | None, most: int) -> None:
    """Refuse a list that is too long. `name` is the field's."""
    if given is not None and len(given) > most:
        raise invalid(f"{name} has {len(given)} elements; at most {most} are possible.")


def orders_of(given: list[str] | str | None) -> list[str]:
    """Read `order_by`: a list from MLflow's clients, a string from GitLab's."""
    if isinstance(given, str):
        return [given]
    return given or []
