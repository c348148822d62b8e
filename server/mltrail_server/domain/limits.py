"""How long names and values may be, and which characters a key can contain. Where MLflow has a limit or a message, it
is MLflow's. `docs/reference/limits.md` is generated from the table `ALL`.

https://mlflow.org/docs/latest/api_reference/rest-api.html#request-limits
"""

import re
from collections.abc import Iterable, Mapping

from .errors import invalid
from .reasons import Reason

MAX_BODY = 16 * 1024**2
MAX_FORM = 65_536
MAX_KEY = 250
MAX_RUN_NAME = 500
MAX_USER_NAME = 256
MAX_PARAM_VALUE = 6000
MAX_TAG_VALUE = 8000
MAX_EXPERIMENT_NAME = 500
MAX_EXPERIMENT_TAG_VALUE = 20_000
MAX_DATASET = {"name": 500, "digest": 36, "source": 65_535, "schema": 1_048_575, "profile": 16_777_215}
MAX_DATASET_SOURCE_TYPE = 255
MAX_INPUT_TAG_KEY = 255
MAX_INPUT_TAG_VALUE = 500
MAX_BATCH_METRICS = 1000
MAX_BATCH_PARAMS = 100
MAX_BATCH_TAGS = 100
MAX_BATCH_TOTAL = 1000
MAX_LIST = 1000
MAX_DESCRIPTION = 100_000
MAX_LOCATION = 4000
MAX_LOGGED_MODEL_NAME = 500
MAX_MODEL_HISTORY = 8_000_000
MAX_TRACE_BYTES = 32 * 1024**2
MAX_TRACE_SPANS = 10_000
MAX_ASSESSMENTS = 1000
MAX_ASSESSMENT_ID = 64
MAX_ASSESSMENT_SOURCE = 250
MAX_ASSESSMENT = 1_000_000
MAX_EVALUATION_DATASET_NAME = 500
MAX_EVALUATION_DATASET_TAG_VALUE = 5000
MAX_RECORDS = 50_000
MAX_RECORD = 1_000_000
MAX_SCORER_NAME = 256
MAX_SCORER = 1_000_000
MAX_SCORER_VERSIONS = 10_000
MAX_VIEW_NAME = 100
MAX_VIEW_QUERY = 8000
MAX_VIEWS = 500
"""Enough for people, and too few to fill a database with."""

ALL = (
    ("A JSON body", MAX_BODY, "bytes"),
    ("A form of a web page", MAX_FORM, "bytes"),
    ("Name of a metric, a parameter, a tag or an assessment", MAX_KEY, "characters"),
    ("Value of a parameter; longer ones are cut", MAX_PARAM_VALUE, "characters"),
    ("Value of a run's tag; longer ones are cut", MAX_TAG_VALUE, "characters"),
    ("Value of a tag of an experiment or logged model", MAX_EXPERIMENT_TAG_VALUE, "characters"),
    ("Name of an experiment", MAX_EXPERIMENT_NAME, "characters"),
    ("Name of a run", MAX_RUN_NAME, "characters"),
    ("Name and type of a logged model", MAX_LOGGED_MODEL_NAME, "characters"),
    ("Description of a model or version", MAX_DESCRIPTION, "characters"),
    ("Source and run link of a version", MAX_LOCATION, "characters"),
    ("A run's models as `log-model` describes them, in all", MAX_MODEL_HISTORY, "characters"),
    ("A trace's spans in all, and a request with spans, decompressed", MAX_TRACE_BYTES, "bytes"),
    ("Spans of a trace", MAX_TRACE_SPANS, ""),
    ("Metrics in a batch", MAX_BATCH_METRICS, ""),
    ("Parameters in a batch", MAX_BATCH_PARAMS, ""),
    ("Tags in a batch", MAX_BATCH_TAGS, ""),
    ("Metrics, parameters and tags in a batch, in all", MAX_BATCH_TOTAL, ""),
    ("Tags, parameters, datasets or models in any other call", MAX_LIST, ""),
    *((f"A dataset's {name}", longest, "characters") for name, longest in MAX_DATASET.items()),
    ("A dataset's source type", MAX_DATASET_SOURCE_TYPE, "characters"),
    ("Name of a dataset's tag", MAX_INPUT_TAG_KEY, "characters"),
    ("Value of a dataset's tag", MAX_INPUT_TAG_VALUE, "characters"),
    ("Assessments of a trace", MAX_ASSESSMENTS, ""),
    ("Source of an assessment", MAX_ASSESSMENT_SOURCE, "characters"),
    ("An assessment with its rationale and metadata, as JSON", MAX_ASSESSMENT, "characters"),
    ("Name of an evaluation dataset", MAX_EVALUATION_DATASET_NAME, "characters"),
    ("Value of an evaluation dataset's tag", MAX_EVALUATION_DATASET_TAG_VALUE, "characters"),
    ("Records of an evaluation dataset", MAX_RECORDS, ""),
    ("A record of an evaluation dataset, as JSON", MAX_RECORD, "characters"),
    ("Name of a scorer", MAX_SCORER_NAME, "characters"),
    ("A scorer, as JSON", MAX_SCORER, "characters"),
    ("Versions of a scorer", MAX_SCORER_VERSIONS, ""),
    ("Name of a saved view of an experiment", MAX_VIEW_NAME, "characters"),
    ("Address of a saved view, after the question mark", MAX_VIEW_QUERY, "characters"),
    ("Saved views of a project", MAX_VIEWS, ""),
)
"""What is limited, the limit, and its unit; counts have none."""

_KEY = re.compile(r"[/\w.\- :]*")


def check_experiment_name(name: str) -> None:
    if not name.strip():
        raise invalid(Reason.EXPERIMENT_UNNAMED)
    if len(name) > MAX_EXPERIMENT_NAME:
        raise invalid(Reason.EXPERIMENT_NAME_TOO_LONG, most=MAX_EXPERIMENT_NAME)


def check_run_name(name: str) -> None:
    """Check a run's name, which clients send as a field or as a tag."""
    if len(name) > MAX_RUN_NAME:
        raise invalid(f"The run's name exceeds the maximum length of {MAX_RUN_NAME} characters")


def check_dataset(fields: Mapping[str, str | None], tags: Iterable[tuple[str, str]]) -> None:
    """Check a dataset that a candidate used, and how it was used."""
    for name, longest in MAX_DATASET.items():
        value = fields.get(name)
        if name in ("name", "digest") and not value:
            raise invalid(Reason.DATASET_FIELD_MISSING, field=name)
        if value is not None and len(value) > longest:
            raise invalid(Reason.DATASET_FIELD_TOO_LONG, field=name, most=longest)
    for key, value in tags:
        if not key or len(key) > MAX_INPUT_TAG_KEY:
            raise invalid(f"The name of a dataset's tag must have from 1 to {MAX_INPUT_TAG_KEY} characters")
        if len(value) > MAX_INPUT_TAG_VALUE:
            raise invalid(
                f"The tag '{key}' of a dataset exceeds the maximum length of {MAX_INPUT_TAG_VALUE} characters"
            )


def check_tag(key: str, value: str) -> None:
    """Check a tag of an experiment, a model or a version."""
    check_key(key, "tag")
    if len(value) > MAX_EXPERIMENT_TAG_VALUE:
        raise invalid(
            f"Tag value of '{key}' exceeds the maximum length of {MAX_EXPERIMENT_TAG_VALUE} characters; "
            "log long texts as a file"
        )


def check_key(key: str, what: str) -> None:
    """Check the name of a metric, a parameter or a tag (`what` says which, for the message)."""
    if not key:
        raise invalid(Reason.KEY_MISSING, what=what)
    if len(key) > MAX_KEY:
        raise invalid(f"The {what} name '{key[:40]}…' exceeds the maximum length of {MAX_KEY} characters")
    if _KEY.fullmatch(key) is None:
        raise invalid(Reason.KEY_CHARACTERS, key=key, what=what)
    # Few names have a slash, and a batch has hundreds of names.
    if ("/" in key or key[0] == ".") and any(part in ("", ".", "..") for part in key.split("/")):
        raise invalid(Reason.KEY_PATH, key=key, what=what)
