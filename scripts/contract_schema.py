"""Write the JSON Schema of the contract file, by which editors check it: docs/reference/contract.schema.json.

    PYTHONPATH=. python -m scripts.contract_schema

The keys are those of `mltrail_contract.reading`, the choices those of `mltrail_contract.model`. The reader has the last
word: it also knows what a schema can't say, and reads what YAML 1.1 takes for something else. A test holds the file to
this script, and the script to the reader.
"""

import json
from enum import StrEnum
from pathlib import Path
from typing import Any

from mltrail_contract import Outcome, Then, Value, Way, reading
from mltrail_contract.model import Bump

FILE = Path(__file__).parents[1] / "docs/reference/contract.schema.json"
Schema = dict[str, Any]


def schema() -> Schema:
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "mltrail's contract file, .mltrail.yml",
        **_mapping(reading.TOP, _top(), required=["version", "models"]),
    }


def _top() -> dict[str, Schema]:
    return {
        "version": _told({"enum": [1, "1"]}, "The version of this format."),
        "defaults": _told(_mapping(reading.DEFAULTS, _defaults()), "What holds for each model that does not say else."),
        "gate": _told(_mapping(reading.GATE, _gate()), "Where the gate shows itself beside the note."),
        "models": {"type": "object", "additionalProperties": _model()},
    }


def _defaults() -> dict[str, Schema]:
    return {
        "repeat_over": _told(_list(_TEXT), "Parameters that stand for chance, such as the seed."),
        "pair_by": _told(_list(_TEXT), "Parameters that name a fold: both sides are compared fold by fold."),
        "if_unknown": _told(_choice(Outcome), "What a rule leads to of which nobody can tell."),
        "if_silent": _told(_choice(Outcome), "What it leads to that a merge request does not train the model."),
    }


def _gate() -> dict[str, Schema]:
    told = {
        "thread": "A thread that is open while the gate fails: with GitLab's setting it blocks the merge.",
        "status": "A commit status.",
        "issue": "One issue, kept current, when a training on the default branch gets worse.",
    }
    return {name: _told({"type": "boolean"}, meaning) for name, meaning in told.items()}


def _model() -> Schema:
    keys = {
        "runs": _told(
            _mapping(
                ("experiment", "tags"), {"experiment": _TEXT, "tags": {"type": "object", "additionalProperties": _TEXT}}
            ),
            "Which runs of a pipeline are this model's: globs over experiment and tags.",
        ),
        "paths": _told(_list(_TEXT), "Globs over files; a merge request that touches none does not concern the model."),
        "baseline": _told(_TEXT, "target, an alias such as champion, or version:1.4.0."),
        "same_dataset": _told(_TEXT, "The context of a dataset; another digest than the baseline's is not comparable."),
        "rank_by": _told({"anyOf": [_TEXT, _rank_by()]}, "The metric that ranks candidates."),
        "rules": _list(_rule()),
        "promote": _mapping(reading.PROMOTE, _promote()),
        "keep": _mapping(("losers",), {"losers": {"type": "string", "pattern": r"^\d{1,6}[hdw]$"}}),
        "retired": _told({"type": "boolean"}, "The model is not trained any more, and nobody misses it."),
        **_defaults(),
    }
    return _mapping(reading.MODEL, keys)


def _rank_by() -> Schema:
    keys = {"metric": _TEXT, "better": _told(_choice(Way), "Which way it is better.")}
    return _mapping(reading.RANK_BY, keys, required=["metric"])


def _rule() -> Schema:
    tolerance = {"type": "number", "minimum": 0}
    percent = _mapping(("percent",), {"percent": tolerance}, required=["percent"])
    keys = {
        "metric": _told(_TEXT, "A metric, or a glob that names several."),
        "better": _told(_choice(Way), "Which way it is better."),
        "worse_by": _told({"anyOf": [tolerance, percent]}, "How much worse than the baseline is still all right."),
        "at_least": _told(_NUMBER, "The lowest value that passes."),
        "at_most": _told(_NUMBER, "The highest value that passes."),
        "value": _told(_choice(Value), "Which value of the history counts."),
        "then": _told(_choice(Then), "What a broken rule leads to."),
        "target": _told(_TEXT, "A glob over target branches; the rule holds for these alone."),
    }
    return {
        **_mapping(reading.RULE, keys, required=["metric"]),
        "anyOf": [{"required": [bound]} for bound in ("worse_by", "at_least", "at_most")],
        "dependentRequired": {"worse_by": ["better"]},
    }


def _promote() -> dict[str, Schema]:
    return {
        "from": _told(_list(_TEXT), "Pipelines that promote: default, tags, or globs over branches."),
        "reuse_reviewed": {"type": "boolean"},
        "alias": {"type": "string", "pattern": r"^[\w-]{1,255}$"},
        "bump": _choice(Bump),
        "allow_worse": _told(_list(_TEXT), "Globs of metrics in which a version may be worse than what it replaces."),
        "sources": _told(
            {
                "type": "object",
                "propertyNames": {"pattern": r"^[A-Za-z][A-Za-z0-9+.-]*:/"},
                "additionalProperties": {"type": "string", "pattern": "^sha256:[0-9a-f]{64}$"},
            },
            "The SHA-256 of what lies at a place that the server does not read, by its URI.",
        ),
    }


_TEXT: Schema = {"type": ["string", "number", "boolean"]}  # `no` and 1.10 are texts where a text is expected
_NUMBER: Schema = {"type": "number"}


def _list(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def _choice(choices: type[StrEnum]) -> Schema:
    return {"enum": [one.value for one in choices]}


def _told(one: Schema, meaning: str) -> Schema:
    return {"description": meaning, **one}


def _mapping(keys: tuple[str, ...], known: dict[str, Schema], *, required: list[str] | None = None) -> Schema:
    if set(keys) != set(known):
        raise SystemExit(f"the reader knows {sorted(keys)}, this script {sorted(known)}: bring them together")
    made = {"type": "object", "additionalProperties": False, "properties": {name: known[name] for name in keys}}
    return {**made, "required": required} if required else made


def text() -> str:
    return json.dumps(schema(), indent=2) + "\n"


if __name__ == "__main__":
    FILE.write_text(text())
