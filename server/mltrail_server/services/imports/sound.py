"""Make the records of a source sound: texts that databases can store, numbers of 64 bits, and fields of their types.

A server or a file can say anything where a text or a number should be. Otherwise one such value would end the import,
each time that it is repeated. Names and values that are only too long, or not allowed, are left to `Fit`.
"""

import json
import types
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import fields, is_dataclass, replace
from functools import cache
from typing import Any, BinaryIO, TypeVar, Union, cast, get_args, get_origin

from mltrail_server.domain.transfer import (
    Counts,
    Entity,
    EvaluationDatasetRecord,
    EvaluationRowRecord,
    ExperimentRecord,
    FileRecord,
    Findings,
    LoggedModelRecord,
    Loss,
    ModelRecord,
    Point,
    RunRecord,
    ScorerRecord,
    Source,
    TraceRecord,
    VersionRecord,
)

from .fit_to_limits import Fit

T = TypeVar("T")
_DEEPEST = 100
_Mend = Callable[[Any, str, "_Fit"], Any]


class Sound:
    """A source that gives the records of another one, made sound. What was changed is listed."""

    def __init__(self, source: Source, findings: Findings) -> None:
        self._source, self._findings = source, findings
        self.kind, self.address = source.kind, source.address

    def describe(self) -> str:
        return Fit(Findings(), "").text(Entity.EXPERIMENT, "", self._source.describe())

    def experiments(self) -> Iterator[ExperimentRecord]:
        return self._each(self._source.experiments(), Entity.EXPERIMENT, lambda one: f"experiment {one.name}")

    def runs(self, experiment: ExperimentRecord) -> Iterator[RunRecord]:
        return self._each(self._source.runs(experiment), Entity.RUN, lambda one: f"run {one.id}")

    def points(self, runs: Sequence[RunRecord]) -> Iterator[list[Point]]:
        return self._source.points(runs)

    def logged_models(self, experiment: ExperimentRecord) -> Iterator[LoggedModelRecord]:
        found = self._source.logged_models(experiment)
        return self._each(found, Entity.LOGGED_MODEL, lambda one: f"logged model {one.id}")

    def traces(self, experiment: ExperimentRecord) -> Iterator[TraceRecord]:
        return self._each(self._source.traces(experiment), Entity.TRACE, lambda one: f"trace {one.id}")

    def spans(self, trace: TraceRecord) -> bytes | None:
        return self._source.spans(trace)

    def scorers(self, experiment: ExperimentRecord) -> Iterator[ScorerRecord]:
        owner = f"of experiment {experiment.name}"
        found = self._source.scorers(experiment)
        return self._each(found, Entity.SCORER, lambda one: f"scorer {one.name} {one.version} {owner}")

    def evaluation_datasets(self) -> Iterator[EvaluationDatasetRecord]:
        found = self._source.evaluation_datasets()
        return self._each(found, Entity.EVALUATION_DATASET, lambda one: f"evaluation dataset {one.name}")

    def evaluation_rows(self, dataset: EvaluationDatasetRecord) -> Iterator[EvaluationRowRecord]:
        owner = f"evaluation dataset {dataset.name}"
        return self._each(self._source.evaluation_rows(dataset), Entity.EVALUATION_ROW, lambda _: owner)

    def models(self) -> Iterator[ModelRecord]:
        return self._each(self._source.models(), Entity.MODEL, lambda one: f"model {one.name}")

    def versions(self, model: ModelRecord) -> Iterator[VersionRecord]:
        found = self._source.versions(model)
        return self._each(found, Entity.VERSION, lambda one: f"version {one.number} of {model.name}")

    def files(self, owner: RunRecord | LoggedModelRecord | VersionRecord | TraceRecord) -> Iterator[FileRecord]:
        return self._source.files(owner)

    def open(self, file: FileRecord) -> BinaryIO:
        return self._source.open(file)

    def totals(self) -> Counts | None:
        return self._source.totals()

    def close(self) -> None:
        self._source.close()

    def _each(self, found: Iterable[T], entity: Entity, owner: Callable[[T], str]) -> Iterator[T]:
        for one in found:
            noted = _Fit(entity)
            made = cast("T", _sound(one, noted, ""))
            for said in noted.findings.kept:
                self._findings.add(said.loss, entity, owner(made), said.text)
            yield made


class _Fit(Fit):
    """Keeps findings until their owner is known, whose name may be changed itself."""

    def __init__(self, entity: Entity) -> None:
        super().__init__(Findings(), "")
        self.entity = entity


def _sound(record: object, fit: _Fit, of: str) -> object:
    """Return the record itself, or what it becomes."""
    changed: dict[str, Any] = {}
    kind: Any = type(record)
    for name, mend in _mends(kind):
        value = getattr(record, name)
        made = mend(value, f"{of}{name}", fit)
        if made is not value:
            changed[name] = made
    return replace(record, **changed) if changed else record  # type: ignore[type-var] # only records come here


@cache
def _mends(kind: type[Any]) -> Sequence[tuple[str, _Mend]]:
    """Return the fields of a kind of record that can be unsound, and what makes each sound."""
    return [(one.name, mend) for one in fields(kind) if (mend := _mend(one.type)) is not None]


def _mend(kind: Any) -> _Mend | None:  # noqa: ANN401 - a type
    parts = set(get_args(kind))
    if get_origin(kind) in {Union, types.UnionType}:
        (kind,) = parts - {type(None)}
        inner = _mend(kind)
        return None if inner is None else lambda value, what, fit: None if value is None else inner(value, what, fit)
    if kind is str:
        return _text
    if kind is Any or (get_origin(kind) is dict and Any in parts):
        return _shallow
    if kind is int:
        return _number
    if get_origin(kind) is dict:
        return _numbers if int in parts else _texts if parts == {str} else None
    return _each_of if get_origin(kind) is tuple else None


def _text(value: Any, what: str, fit: _Fit) -> Any:  # noqa: ANN401 - whatever a source says
    if type(value) is str:
        return value if value.isascii() and "\0" not in value else fit.text(fit.entity, what, value)
    fit.say(Loss.CHANGED, fit.entity, f"{what} is not text, and was converted to text")
    return fit.text(fit.entity, what, json.dumps(value, default=str))


def _number(value: Any, what: str, fit: _Fit) -> Any:  # noqa: ANN401 - whatever a source says
    if type(value) is int:
        return fit.whole(fit.entity, what, value)
    fit.say(Loss.CHANGED, fit.entity, f"{what} is not a whole number, and was replaced by 0")
    return 0


def _shallow(value: Any, what: str, fit: _Fit) -> Any:  # noqa: ANN401 - whatever a source says
    """Leave out JSON that is nested so deeply that whoever reads it would fail."""
    level = [value]
    for _ in range(_DEEPEST):
        level = [
            inner
            for one in level
            if isinstance(one, dict | list)
            for inner in (one.values() if isinstance(one, dict) else one)
        ]
        if not level:
            return value
    fit.say(Loss.REFUSED, fit.entity, f"{what} is nested more than {_DEEPEST} levels deep, and was left out")
    return None


def _numbers(value: Any, what: str, fit: _Fit) -> Any:  # noqa: ANN401 - whatever a source says
    if all(type(key) is str and type(one) is int and 0 < one < 2**63 for key, one in value.items()):
        return value
    fit.say(Loss.CHANGED, fit.entity, f"{what}: values that are not version numbers were left out")
    return {key: one for key, one in value.items() if type(one) is int and 0 < one < 2**63}


def _texts(value: Any, what: str, fit: _Fit) -> Any:  # noqa: ANN401 - whatever a source says
    if all(type(one) is str for one in value.values()):
        return value  # their characters are checked by `Fit`, which names each of them
    return {key: one if type(one) is str else _text(one, f"{what} {key!r:.80}", fit) for key, one in value.items()}


def _each_of(value: Any, what: str, fit: _Fit) -> Any:  # noqa: ANN401 - whatever a source says
    made = []
    for one in value:
        if type(one) is str:
            made.append(_text(one, what, fit))
        else:
            made.append(_sound(one, fit, f"{what}: ") if is_dataclass(one) else one)
    return value if all(one is old for one, old in zip(made, value, strict=True)) else tuple(made)
