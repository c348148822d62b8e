"""Write the JSON Schema of the contract file, with which editors check it: docs/reference/contract.schema.json.

    PYTHONPATH=. python -m scripts.contract_schema

The keys are those of `mltrail_contract.reading`, the choices those of `mltrail_contract.model`. The reader has the last
word: it also checks what a schema can't express, and reads values that YAML 1.1 takes for something else. Tests compare
the file with this script, and the script with the reader.
"""

import json
from enum import StrEnum
from pathlib import Path
from typing import Any

from mltrail_contract import HigherOrLower, Measure, Outcome, QualityCriteria, Then, Value, cases, reading, redaction
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
        "version": _described({"enum": [1, "1"]}, "The version of this format."),
        "defaults": _described(
            _mapping(reading.DEFAULTS, _defaults()), "Defaults for every model that does not set its own."
        ),
        "gate": _described(_mapping(reading.GATE, _gate()), "Where the gate appears in addition to the comment."),
        "models": {"type": "object", "additionalProperties": _model()},
        "traces": _described(_mapping(reading.TRACES, _traces()), "What happens to traces."),
    }


def _traces() -> dict[str, Schema]:
    patterns = {"type": "array", "items": _TEXT, "maxItems": redaction.MOST_PATTERNS}
    return {
        "redact": _described(patterns, "Regular expressions: whatever they match is replaced before it is stored."),
        "keep": _described(_SPAN, "How long traces are kept."),
    }


def _defaults() -> dict[str, Schema]:
    return {
        "repeat_over": _described(_list(_TEXT), "Parameters that stand for chance, such as the seed."),
        "pair_by": _described(_list(_TEXT), "Parameters that name a fold; both sides are compared fold by fold."),
        "if_unknown": _described(_choice(Outcome), "The outcome of a rule that can't be decided."),
        "if_silent": _described(_choice(Outcome), "The outcome if a merge request does not train the model."),
        "imported": _described(
            _mapping(reading.IMPORTED, _imported()), "What runs and versions count for that were imported."
        ),
    }


def _imported() -> dict[str, Schema]:
    return {
        "baseline": _described(
            {"type": "boolean"}, "Imported runs are the baseline, where the target branch has none of its own."
        ),
        "champion": _described(
            {"type": "boolean"},
            "An imported version that promotions would replace: true holds them to its level, false to nothing.",
        ),
    }


def _gate() -> dict[str, Schema]:
    meanings = {
        "thread": "A thread that is open while the gate fails; with GitLab's setting it blocks the merge.",
        "status": "A commit status.",
        "issue": "One issue, kept up to date, if a scheduled training on the default branch gets worse.",
    }
    return {name: _described({"type": "boolean"}, meaning) for name, meaning in meanings.items()}


def _model() -> Schema:
    keys = {
        "runs": _described(
            _mapping(
                ("experiment", "tags"), {"experiment": _TEXT, "tags": {"type": "object", "additionalProperties": _TEXT}}
            ),
            "Which runs of a pipeline are this model's: globs for experiment and tags.",
        ),
        "paths": _described(
            _list(_TEXT), "Globs for files; a merge request that touches none does not concern the model."
        ),
        "baseline": _described(_TEXT, "target, an alias such as champion, or version:1.4.0."),
        "same_dataset": _described(
            _TEXT, "The context of a dataset; if the digest differs from the baseline's, the runs are not comparable."
        ),
        "rank_by": _described({"anyOf": [_TEXT, _rank_by()]}, "The metric that ranks candidates."),
        "cases": _described(
            {"type": "object", "maxProperties": 20, "additionalProperties": _sources()},
            "Tables that runs log with a row for each case of a test set, and evaluations; compared case by case.",
        ),
        "rules": _list(_rule()),
        "quality_criteria": _described(_choice(QualityCriteria), "Whether bars that a run declares itself gate, too."),
        "prompts": _described(
            {
                "type": "object",
                "additionalProperties": _mapping(reading.PROMPT, {"alias": _ALIAS}, required=["alias"]),
            },
            "Prompts, and the alias of each that only promotions move.",
        ),
        "promote": _mapping(reading.PROMOTE, _promote()),
        "keep": _mapping(("losers",), {"losers": _SPAN}),
        "retired": _described({"type": "boolean"}, "The model is no longer trained; its absence is expected."),
        **_defaults(),
    }
    return _mapping(reading.MODEL, keys)


def _rank_by() -> Schema:
    keys = {"metric": _TEXT, "better": _described(_choice(HigherOrLower), "Which way it is better.")}
    return _mapping(reading.RANK_BY, keys, required=["metric"])


def _sources() -> Schema:
    """A key decides which of the two it is, so that an editor complains about one of them only."""
    return {"if": {"required": ["evaluation"]}, "then": _evaluation(), "else": _cases()}


def _evaluation() -> Schema:
    by_scorer = "by scorer."
    keys = {
        "evaluation": _described(_TEXT, "A glob for the name of the dataset that is evaluated."),
        "scorers": _described(_list(_TEXT), "Globs for the scorers that count; by default all."),
        "pass_at": _described(
            {"type": "object", "additionalProperties": _NUMBER}, f"The score at which a case passes, {by_scorer}"
        ),
        "better": _described(
            {"type": "object", "additionalProperties": _choice(HigherOrLower)},
            f"Whether higher or lower scores are better, {by_scorer}",
        ),
    }
    return _mapping(cases.EVALUATION, keys, required=["evaluation"])


def _cases() -> Schema:
    file = {"type": "string", "pattern": r"\.(?:[jJ][sS][oO][nN][lL]?|[cC][sS][vV]|[pP][aA][rR][qQ][uU][eE][tT])$"}
    keys = {
        "table": _described(file, "The file among the run's artifacts."),
        "id": _described(_TEXT, "The column that says which case a row is about."),
        "label": _described(_TEXT, "The column of what is true."),
        "prediction": _described(_TEXT, "The column of what the model said; right where it equals the label."),
        "score": _described(_TEXT, "The column of how likely the positive label is, or of how good the answer is."),
        "threshold": _described(_NUMBER, "A score of at least this means the positive label, or a good answer."),
        "better": _described(_choice(HigherOrLower), "Without a label: which scores are better."),
        "positive": _described(_TEXT, "The label that a high score means; 1 or true by default."),
        "cluster": _described(_TEXT, "The column of what several cases share, such as a patient."),
        "measure": _described(_choice(Measure), "What is computed from the cases; by default what the columns allow."),
    }
    said = [{"required": ["label", "prediction"]}, {"required": ["score"]}]
    for_scores = {"not": {"anyOf": [{"required": [key]} for key in ("threshold", "better")]}}
    return {
        **_mapping(cases.TABLE, keys, required=["table", "id"]),
        "oneOf": said,
        "dependentSchemas": {"prediction": for_scores, "label": {"not": {"required": ["better"]}}},
        "dependentRequired": {"positive": ["label"]},
    }


def _rule() -> Schema:
    tolerance = {"type": "number", "minimum": 0}
    percent = _mapping(("percent",), {"percent": tolerance}, required=["percent"])
    keys = {
        "metric": _described(_TEXT, "A metric, or a glob for several."),
        "better": _described(_choice(HigherOrLower), "Which way it is better."),
        "worse_by": _described(
            {"anyOf": [tolerance, percent]},
            "How much worse is acceptable; of cases, in their measure.",
        ),
        "at_least": _described(_NUMBER, "The lowest value that passes."),
        "at_most": _described(_NUMBER, "The highest value that passes."),
        "value": _described(_choice(Value), "Which value of the history counts."),
        "cases": _described(_TEXT, "One of the model's tables of cases or evaluations, by name."),
        "scorer": _described(_TEXT, "For an evaluation: a glob for the scorers that the rule is about."),
        "broke_at_most": _described(
            {"type": "integer", "minimum": 0}, "How many cases may be wrong that the baseline has right."
        ),
        "pass_rate_at_least": _described(
            {"type": "number", "minimum": 0, "maximum": 1}, "For an evaluation: the share of cases that must pass."
        ),
        "must_pass": _described(
            {"type": "array", "items": _TEXT, "minItems": 1}, "For an evaluation: globs for cases that must pass."
        ),
        "then": _described(_choice(Then), "What a broken rule leads to."),
        "target": _described(_TEXT, "A glob for target branches; the rule applies only to those."),
    }
    bounds = [{"required": [bound]} for bound in ("worse_by", "at_least", "at_most")]
    of_metrics = [{"required": [key]} for key in reading.RULE if key not in cases.RULE]
    of_cases = [{"required": [key]} for key in ("cases", "broke_at_most", *cases.OF_EVALUATIONS)]
    bounds_of_cases = [{"required": [bound]} for bound in cases.BOUNDS]
    return {
        **_mapping(reading.RULE, keys),
        "oneOf": [
            {
                "required": ["metric"],
                "anyOf": bounds,
                "not": {"anyOf": of_cases},
                "dependentRequired": {"worse_by": ["better"]},
            },
            {"required": ["cases"], "anyOf": bounds_of_cases, "not": {"anyOf": of_metrics}},
        ],
    }


def _promote() -> dict[str, Schema]:
    return {
        "from": _described(_list(_TEXT), "Pipelines that can promote: default, tags, or globs for branches."),
        "reuse_reviewed": {"type": "boolean"},
        "alias": _ALIAS,
        "bump": _choice(Bump),
        "allow_worse": _described(
            _list(_TEXT), "Globs for metrics in which a version may be worse than the one it replaces."
        ),
        "sources": _described(
            {
                "type": "object",
                "propertyNames": {"pattern": r"^[A-Za-z][A-Za-z0-9+.-]*:/"},
                "additionalProperties": {"type": "string", "pattern": "^sha256:[0-9a-f]{64}$"},
            },
            "The SHA-256 of what is stored at a place that the server does not read, by its URI.",
        ),
        "needs_evaluation": _described(
            _TEXT, "The name of an evaluation of the model, without which a run is not promoted."
        ),
    }


_TEXT: Schema = {"type": ["string", "number", "boolean"]}  # `no` and 1.10 are text where text is expected
_NUMBER: Schema = {"type": "number"}
_SPAN: Schema = {"type": "string", "pattern": r"^\d{1,6}[hdw]$"}
_ALIAS: Schema = {"type": "string", "pattern": r"^[\w-]{1,255}$"}


def _list(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def _choice(choices: type[StrEnum]) -> Schema:
    return {"enum": [one.value for one in choices]}


def _described(one: Schema, meaning: str) -> Schema:
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
