"""Each edge has its sentences for a reason, and whoever raises it gives all the facts that any of them shows."""

import ast
import string
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

import mltrail_server
from mltrail_server.domain.errors import invalid
from mltrail_server.domain.reasons import Reason
from mltrail_server.gitlab_api import sentences as gitlab_sentences
from mltrail_server.mlflow_api import sentences as mlflow_sentences
from mltrail_server.ui import sentences as ui_sentences

PACKAGE = Path(mltrail_server.__file__).parent
PLAIN = {reason: reason.value for reason in Reason}
EDGES: dict[str, Mapping[Reason, str]] = {
    "mlflow_api": mlflow_sentences.SENTENCES,
    "gitlab_api": gitlab_sentences.SENTENCES,
    "ui": ui_sentences.SENTENCES,
}


def raised() -> Iterator[tuple[str, Reason, set[str]]]:
    """Find each place that names a reason in a call, and the facts that it gives."""
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call):
                continue
            for given in node.args:
                if isinstance(given, ast.Attribute) and ast.unparse(given.value) == "Reason":
                    yield f"{path.relative_to(PACKAGE)}:{node.lineno}", Reason[given.attr], facts(node)


def facts(call: ast.Call) -> set[str]:
    found = {one.arg for one in call.keywords if one.arg is not None}
    for one in call.keywords:
        if one.arg == "facts" and isinstance(one.value, ast.Dict):
            found |= {str(ast.literal_eval(key)) for key in one.value.keys if key is not None}
    return found


def shown(sentence: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(sentence) if name is not None}


RAISED = list(raised())
MLFLOW = (
    "max_results",
    "order_by",
    "page_token",
    "run_id",
    "num_parts",
    "with name=",
    "with id=",
    "for parameter '",
    "required parameter",
    "MLFLOW",
)
BELOW_THE_EDGES = ("domain", "services", "store", "artifacts", "gitlab")
RAISING = {"MltrailError", "invalid", "not_found", "already_exists", "conflict", "forbidden", "unavailable"}
FOR_JOBS_OR_FILTERS = ("MLFLOW_RUN_ID", "MLFLOW_TRACKING_URI", "IN is possible for run_id only")
"""A job's log shows the first two, and a filter has the name run_id on pages too."""


@pytest.mark.parametrize(("where", "reason", "given"), RAISED, ids=[where for where, *_ in RAISED])
def test_the_facts_fill_every_sentence(where: str, reason: Reason, given: set[str]) -> None:
    for edge, sentences in {"domain": PLAIN, **EDGES}.items():
        missing = shown(sentences.get(reason, "")) - given
        assert not missing, f"{edge} shows {missing}, which {where} does not give"


def test_every_reason_is_raised_somewhere() -> None:
    assert {reason for _, reason, _ in RAISED} == set(Reason)


def test_an_edge_says_it_in_its_own_words_and_the_others_plainly() -> None:
    error = invalid(Reason.NO_RUN, eid="{eid}")
    assert error.in_words(EDGES["mlflow_api"]) == "Run with id={eid} not found"
    assert error.in_words(EDGES["gitlab_api"]) == error.message == "This project has no run {eid}."


@pytest.mark.parametrize("reason", Reason, ids=lambda reason: reason.name)
def test_people_read_no_field_of_mlflows(reason: Reason) -> None:
    for sentence in (reason.value, EDGES["ui"].get(reason, "")):
        assert not [name for name in MLFLOW if name in sentence]


def test_nothing_below_the_edges_raises_mlflows_words() -> None:
    found = []
    for path in (path for room in BELOW_THE_EDGES for path in sorted((PACKAGE / room).rglob("*.py"))):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in RAISING:
                text = " ".join(str(one.value) for one in ast.walk(node) if isinstance(one, ast.Constant))
                if any(name in text for name in MLFLOW) and not any(one in text for one in FOR_JOBS_OR_FILTERS):
                    found.append(f"{path.relative_to(PACKAGE)}:{node.lineno} {text}")
    assert not found
