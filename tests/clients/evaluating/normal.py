"""Turns what a client saw into what has to be equal on every server: ids are numbered, times are left out."""

import json
import re

from mlflow.entities import Assessment, Span, Trace, TraceInfo

TIMES = re.compile(r"(^|_)(time|timestamp|duration|latency)(_ms|_millis|_unix_nano|_ns)?$|^mlflow\.trace\.size")
EXPERIMENTS = frozenset({"experiment_id", "experiment_ids", "mlflow.experimentId"})
ISO = re.compile(r"\b20\d\d-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:?\d\d)?")
IDS = (
    ("assessment", re.compile(r"\ba-[0-9a-f]{32}\b")),
    ("dataset", re.compile(r"\bd-[0-9a-f]{32}\b")),
    ("record", re.compile(r"\b(?:dr|edr)-[0-9a-f]{32}\b")),
    ("uuid", re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b")),
    (
        "run or trace",
        re.compile(r"\b(?:tr-)?[0-9a-f]{32}\b"),
    ),  # servers begin a trace's id of MLflow 3.1 with tr-, or not
    ("span", re.compile(r"\b[0-9a-f]{16}\b")),
)
IN_EXPERIMENT = re.compile(r"mlflow-artifacts:/(\d+)/")
RANDOM_NAME = re.compile(r"[a-z]+-[a-z]+-\d+")


class Normal:
    def __init__(self, known: dict[str, str]) -> None:
        self._known = known
        self._numbers: dict[str, str] = {}

    def value(self, value: object, key: str = "") -> object:
        value = plain(value)
        if isinstance(value, dict):
            return {self.text(str(name)): self.value(value[name], str(name)) for name in sorted(value, key=str)}
        if value is not None and (TIMES.search(key) or key in EXPERIMENTS):
            return f"⟦{key}⟧"
        if isinstance(value, (list, tuple)):
            return [self.value(one, key) for one in value]
        return value if isinstance(value, (bool, int, float)) or value is None else self.text(str(value))

    def text(self, text: str) -> str:
        for one, shown in self._known.items():
            text = text.replace(one, shown)
        if RANDOM_NAME.fullmatch(text):
            return "⟦random name⟧"
        text = IN_EXPERIMENT.sub("mlflow-artifacts:/⟦experiment⟧/", ISO.sub("⟦time⟧", text))
        for word, pattern in IDS:
            text = pattern.sub(lambda match, word=word: self._symbol(word, match[0]), text)
        return text

    def _symbol(self, word: str, one: str) -> str:
        if one not in self._numbers:
            count = sum(symbol.startswith(f"⟦{word} ") for symbol in self._numbers.values())
            self._numbers[one] = f"⟦{word} {count + 1}⟧"
        return self._numbers[one]


def plain(value: object) -> object:
    """MLflow's entities as dictionaries, NumPy's numbers as Python's."""
    if isinstance(value, Trace):
        return {"info": value.info, "spans": value.data.spans}
    if isinstance(value, TraceInfo):
        return info(value)
    if isinstance(value, Span):
        return span(value)
    if isinstance(value, Assessment):
        return value.to_dictionary()
    return value.item() if hasattr(value, "item") else value


def info(trace: TraceInfo) -> dict[str, object]:
    """Several assessments come in no order, since scorers work at the same time."""
    found = trace.to_dict()
    assessments = sorted(found.pop("assessments", []), key=assessment_order)
    return found | {"assessments": assessments}


def assessment_order(one: dict[str, object]) -> str:
    return json.dumps(
        [one.get(key) for key in ("assessment_name", "source", "feedback", "expectation")], sort_keys=True
    )


def span(one: Span) -> dict[str, object]:
    return {
        "name": one.name,
        "id": one.span_id,
        "parent": one.parent_id,
        "trace": one.trace_id,
        "type": one.span_type,
        "status": [str(one.status.status_code), one.status.description],
        "inputs": one.inputs,
        "outputs": one.outputs,
        "attributes": one.attributes,
        "events": [[event.name, event.attributes] for event in one.events],
    }
