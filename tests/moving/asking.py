"""Ask a server by plain HTTP, and turn its answers into what has to be equal on both sides."""

import hashlib
import json
import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import urllib3

_SYMBOL = re.compile("⟦([^⟧]*)⟧")
_IN_EXPERIMENT = re.compile(r"mlflow-artifacts:/(\d+)(?=/|$)")
_MOST_PAGES = 1000
_SORTED = frozenset(
    {
        *("tags", "params", "metrics", "aliases", "latest_versions", "dataset_inputs", "inputs", "dataset_summaries"),
        *("model_inputs", "model_outputs", "experiment_ids", "request_metadata", "assessments", "scorers", "files"),
    }
)
"""Lists whose order means nothing."""
_JSON_TEXTS = frozenset({"tags", "schema", "profile", "records"})
"""Fields of evaluation datasets: JSON within a text."""


@dataclass(frozen=True)
class Question:
    """`⟦name⟧` in it stands for the id of an experiment.

    `pages` names the list of an answer that goes on with its `next_page_token`; `keyed` is true if the order of that
    list means nothing.
    """

    endpoint: str
    method: str = "GET"
    path: str = ""
    query: tuple[tuple[str, str], ...] = ()
    body: str = ""
    pages: str = ""
    keyed: bool = False

    def __str__(self) -> str:
        sent = " ".join([*(f"{key}={value}" for key, value in self.query), self.body])
        return f"{self.method} {self.path} {sent}"[:600]


@dataclass
class Side:
    """A server that is asked."""

    url: str
    headers: dict[str, str] = field(default_factory=dict)
    ids: dict[str, str] = field(default_factory=dict)
    """The ids of experiments by their names."""
    pool: urllib3.PoolManager = field(default_factory=lambda: urllib3.PoolManager(retries=False, timeout=120))

    def learn(self) -> None:
        """Learn the ids of its experiments."""
        found = self.raw(post("experiments/search", view_type="ALL", max_results=1000, pages="experiments"))
        self.ids = {one["name"]: one["experiment_id"] for one in found["body"].get("experiments", [])}

    def answer(self, question: Question) -> Any:
        return normal(self.raw(question), {id_: name for name, id_ in self.ids.items()}, question)

    def raw(self, question: Question) -> Any:
        answers, token = [], ""
        for _ in range(_MOST_PAGES):
            answers.append(self._send(question, token))
            body = answers[-1]["body"]
            token = body.get("next_page_token") or "" if question.pages and isinstance(body, dict) else ""
            if not token:
                break
        if question.pages and not answers[-1]["body"].get(question.pages) and len(answers) > 1:
            answers.pop()  # older servers promise a next page whenever one is full
        if len(answers) == 1:
            return answers[0]
        listed = [one for answer in answers for one in answer["body"].get(question.pages, [])]
        sizes = [len(answer["body"].get(question.pages, [])) for answer in answers]
        return {"status": answers[-1]["status"], "sizes of pages": sizes, "body": {question.pages: listed}}

    def _send(self, question: Question, token: str) -> Any:
        query = [(key, self._resolved(value)) for key, value in question.query]
        options: dict[str, Any] = {}
        if question.method == "GET":
            options["fields"] = query + ([("page_token", token)] if token else [])
        else:
            sent = json.loads(self._resolved(question.body)) | ({"page_token": token} if token else {})
            options["body"] = json.dumps(sent).encode()
            options["headers"] = self.headers | {"Content-Type": "application/json"}
        target = f"{self.url}/{quote(self._resolved(question.path), safe='/%')}"
        response = self.pool.request(question.method, target, **({"headers": self.headers} | options))
        try:
            body = json.loads(response.data)
        except ValueError:
            body = hashlib.sha256(response.data).hexdigest() if response.status == 200 else response.data.decode()[:300]
        return {"status": response.status, "body": body}

    def _resolved(self, text: str) -> str:
        return _SYMBOL.sub(lambda match: self.ids.get(match[1], "999999"), text)


def get(path: str, /, *, api: str = "api/2.0/mlflow/", pages: str = "", keyed: bool = False, **query: Any) -> Question:
    """Make a question with a query. A list as a value is sent as one field for each item."""
    flat = [(key, str(one)) for key, value in query.items() for one in (value if isinstance(value, list) else [value])]
    return Question(f"GET {_pattern(path)}", "GET", api + path, tuple(flat), pages=pages, keyed=keyed)


def post(
    path: str, /, *, api: str = "api/2.0/mlflow/", pages: str = "", keyed: bool = False, **fields: Any
) -> Question:
    body = json.dumps(fields, ensure_ascii=False)
    return Question(f"POST {_pattern(path)}", "POST", api + path, body=body, pages=pages, keyed=keyed)


def _pattern(path: str) -> str:
    """Take what differs from one thing to another out of a path."""
    path = re.sub(r"\b(m-|tr-|a-|d-)?[0-9a-f]{32}\b", "<id>", path)
    return re.sub(r"(mlflow-artifacts/artifacts)/.*", r"\1", path)


def normal(answer: Any, experiments: dict[str, str], question: Question) -> dict[str, Any]:
    if answer["status"] >= 400:
        code = answer["body"].get("error_code") if isinstance(answer["body"], dict) else None
        return {"status": answer["status"], "error_code": code}
    found = {key: value for key, value in answer.items() if key != "body"}
    body = _value(answer["body"], experiments, "")
    if question.keyed and isinstance(body, dict) and question.pages in body:
        body = body | {question.pages: sorted(body[question.pages], key=repr)}
        found.pop("sizes of pages", None)
    return found | {"body": body}


def _value(value: Any, experiments: dict[str, str], key: str) -> Any:
    if isinstance(value, dict):
        # Empty and absent are the same to protocol buffers. A token stands for the rest, which is asked for.
        inner = {name: _value(one, experiments, name) for name, one in value.items() if name != "next_page_token"}
        nothing = {"file_size": 0, "end_time": 0}
        return {
            name: one
            for name, one in inner.items()
            if one is not None and one not in ([], {}, "") and one != nothing.get(name)
        }
    if isinstance(value, list):
        items = [_value(one, experiments, key) for one in value]
        return sorted(items, key=repr) if key in _SORTED and not _is_history(items) else items
    if key in ("experiment_id", "experiment_ids"):
        return f"⟦{experiments.get(str(value), value)}⟧"
    if isinstance(value, str):
        return _text(value, experiments, key)
    return _number(value) if isinstance(value, float) else value


def _text(value: str, experiments: dict[str, str], key: str) -> Any:
    if key in _JSON_TEXTS and value.startswith(("[", "{")):
        return _value(json.loads(value), experiments, "")
    return _IN_EXPERIMENT.sub(lambda match: f"mlflow-artifacts:/⟦{experiments.get(match[1], match[1])}⟧", value)


def _number(value: float) -> Any:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return int(value) if value.is_integer() and abs(value) < 2**53 else value


def _is_history(items: list[Any]) -> bool:
    """Whether these are the points of one metric, whose order counts."""
    keys = {one.get("key") for one in items if isinstance(one, dict) and "step" in one}
    return len(keys) == 1 and len(items) > 1


@dataclass
class Difference:
    question: Question
    theirs: Any
    ours: Any

    def __str__(self) -> str:
        return f"{self.question}\n  at {parting(self.theirs, self.ours)}"


def parting(theirs: Any, ours: Any, way: str = "$") -> str:
    """Find the first place where two answers part."""
    if isinstance(theirs, dict) and isinstance(ours, dict):
        for key in sorted(theirs.keys() | ours.keys()):
            if theirs.get(key) != ours.get(key):
                return parting(theirs.get(key), ours.get(key), f"{way}.{key}")
    if isinstance(theirs, list) and isinstance(ours, list):
        for place, (one, other) in enumerate(zip(theirs, ours, strict=False)):
            if one != other:
                return parting(one, other, f"{way}[{place}]")
        return f"{way}: {len(theirs)} items | {len(ours)} items: {str((theirs + ours)[-1])[:300]}"
    shown = [json.dumps(one, ensure_ascii=False)[:300] for one in (theirs, ours)]
    return f"{way}: {shown[0]} | {shown[1]}"


Explain = Callable[[Question, Any, Any], tuple[Any, Any]]


@dataclass(frozen=True)
class Explained:
    """A difference that is meant, with its reason. `explain` makes the two sides equal if, and only if, it is that."""

    name: str
    reason: str
    explain: Explain


@dataclass
class Outcome:
    asked: Counter[str] = field(default_factory=Counter)
    used: Counter[str] = field(default_factory=Counter)
    differences: list[Difference] = field(default_factory=list)

    def __str__(self) -> str:
        return (
            f"{sum(self.asked.values())} questions to {len(self.asked)} endpoints; differences explained: "
            f"{dict(self.used)}; not explained: {len(self.differences)}"
        )


def answers(side: Side, questions: Iterable[Question]) -> Iterator[tuple[Question, Any]]:
    for question in questions:
        yield question, side.answer(question)


def compare(
    theirs: Iterable[tuple[Question, Any]], ours: Iterable[tuple[Question, Any]], explained: Iterable[Explained]
) -> Outcome:
    outcome, rules = Outcome(), tuple(explained)
    for (question, one), (_, other) in zip(theirs, ours, strict=True):
        outcome.asked[question.endpoint] += 1
        seen = one, other
        for rule in rules:
            if seen[0] == seen[1]:
                break
            after = rule.explain(question, *seen)
            if after != seen:
                outcome.used[rule.name] += 1
                seen = after
        if seen[0] != seen[1]:
            outcome.differences.append(Difference(question, *seen))
    return outcome
