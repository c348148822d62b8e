"""MLflow's own sentences and field names, which programs and their tests look for in messages.

For a reason that is not here, clients get the plain sentence of `domain/reasons.py`.
"""

from collections.abc import Mapping

from mltrail_server.domain.errors import MltrailError
from mltrail_server.domain.reasons import Reason

SENTENCES: Mapping[Reason, str] = {
    Reason.NO_EXPERIMENT: "No Experiment with id={iid} exists",
    Reason.NO_EXPERIMENT_NAMED: "Could not find experiment with name '{name}'",
    Reason.EXPERIMENT_NOT_IN_STAGE: "No {expected} Experiment with id={iid} exists",
    Reason.EXPERIMENT_DELETED: (
        "The experiment {iid} must be in the 'active' state. Current state is deleted. Restore it first, or use "
        "another."
    ),
    Reason.EXPERIMENT_OF_MODEL: (
        "Cannot {doing} an experiment associated to a model; {doing} the model '{model}' instead."
    ),
    Reason.EXPERIMENT_UNNAMED: "Invalid experiment name: ''. Give it a name that is not empty.",
    Reason.EXPERIMENT_NAME_TOO_LONG: "'name' exceeds the maximum length of {most} characters",
    Reason.NO_EXPERIMENT_TAG: "No tag with name: {key} in experiment with id {iid}",
    Reason.NO_RUN: "Run with id={eid} not found",
    Reason.RUN_DELETED: "The run {eid} must be in the 'active' state. Current state is deleted. Restore it first.",
    Reason.RUN_NAMED_TWICE: (
        "Both 'run_name' ({name!r}) and the tag '{tag}' ({tagged!r}) were given, with different values. Give one of "
        "them, or the same value."
    ),
    Reason.NO_RUN_TAG: "No tag with name: {key} in run with id {eid}",
    Reason.PARAM_CHANGED: (
        "Changing param values is not allowed. Param with key='{key}' was already logged with value='{old}' for run "
        "ID='{eid}'. Attempted logging new value '{new}'. Log it under another name, or in a new run."
    ),
    Reason.PARAM_TWICE: "Duplicate parameter keys have been submitted: '{key}'. Send each key once.",
    Reason.KEY_MISSING: "Missing value for required parameter 'key': a {what} needs a name.",
    Reason.KEY_CHARACTERS: (
        "Invalid value {key!r} for parameter '{what}' supplied: Names may only contain alphanumerics, underscores (_), "
        "dashes (-), periods (.), spaces ( ), colons(:) and slashes (/)."
    ),
    Reason.KEY_PATH: (
        "Invalid value {key!r} for parameter '{what}' supplied: Names are paths, so they must not begin or end with "
        "'/' and must not contain empty, '.' or '..' parts."
    ),
    Reason.DATASET_FIELD_MISSING: "Missing value for required parameter 'dataset.{field}'.",
    Reason.DATASET_FIELD_TOO_LONG: "'dataset.{field}' exceeds the maximum length of {most} characters",
    Reason.METRIC_UNNAMED: (
        "Missing value for required parameter 'metric_key'. Name the metric whose history is wanted."
    ),
    Reason.NO_LOGGED_MODEL: "Logged model with ID '{model_id}' not found.",
    Reason.NO_LOGGED_MODEL_TO_LINK: "Logged model with ID '{model_id}' not found",
    Reason.NO_LOGGED_MODEL_TAG: "No tag with key {key!r} found for model with ID {model_id!r}.",
    Reason.NO_TRACE: "Trace with ID '{trace_id}' not found.",
    Reason.NO_ASSESSMENT: "Assessment with ID '{assessment_id}' not found for trace '{trace_id}'",
    Reason.NO_EVALUATION_DATASET: "Evaluation dataset with id '{dataset_id}' not found",
    Reason.NO_SCORER: "Scorer with name '{name}' not found for experiment {iid}.",
    Reason.NO_SCORER_VERSION: "Scorer with name '{name}' and version {version} not found for experiment {iid}.",
    Reason.NO_MODEL: "Registered Model with name={name} not found",
    Reason.MODEL_EXISTS: "Registered Model (name={name}) already exists. Use it, or give another name.",
    Reason.MODEL_UNNAMED: "Registered model name cannot be empty.",
    Reason.MODEL_NAME_IS_PATH: (
        "Invalid value {quoted} for parameter 'name' supplied: Names may be treated as files in certain cases, and "
        "must not resolve to other names when treated as such. This name would resolve to '{name}'"
    ),
    Reason.NO_VERSION: "Model Version (name={name}, version={version}) not found",
    Reason.MODEL_WITHOUT_VERSIONS: "Registered Model with name={name} has no versions yet",
    Reason.VERSION_UNREADABLE: (
        "Parameter 'version' must be an integer, got '{text:.60}'. A semantic version such as 1.4.0 works too; "
        "to name it by an alias, use models:/<name>@<alias>."
    ),
    Reason.SOURCE_IN_OTHER_RUN: "Invalid model version source: it lies in run {eid}, but run_id says {claimed}.",
    Reason.SOURCE_IN_OTHER_LOGGED_MODEL: (
        "Invalid model version source: it lies in {model_id}, but model_id says {claimed}."
    ),
    Reason.NO_STAGE: "Invalid Model Version stage: {text}. Value must be one of {choices}.",
    Reason.STAGE_ARCHIVES_NONE: (
        "archive_existing_versions is possible with the stages Staging and Production only, not with {stage}."
    ),
    Reason.NO_ALIAS: "Registered model alias {alias} not found. Set it first, or name a version.",
    Reason.ALIAS_IS_LATEST: "'latest' alias name (case insensitive) is reserved: it always means the newest version.",
    Reason.ALIAS_IS_LIKE_VERSION: (
        "Version alias name '{alias}' is reserved: 'v' and a number would look like a version."
    ),
    Reason.NO_FILE: "No such artifact: '{path}'",
    Reason.PATH_IN_NO_FOLDER: (
        "Invalid path: '{path:.80}' is not in the folder of a run or logged model. Use the "
        "artifact_uri that the server gave."
    ),
    Reason.NUMBER_OF_PARTS: (
        "Invalid value {given} for parameter 'num_parts' supplied: a file has from 1 to {most} parts. Set "
        "MLFLOW_MULTIPART_UPLOAD_CHUNK_SIZE to send larger ones."
    ),
    Reason.FILTER: "Invalid clause(s) in filter string '{shown}': at character {at}: {what}; {example}",
    Reason.FILTER_KEY: "Invalid {entity} key '{key}' specified. {choices}",
    Reason.ORDER: (
        "Invalid order_by clause '{text:.500}'. Could not be parsed: {why}. Write for example metrics.accuracy DESC, "
        "and a key with other characters in backticks: metrics.`val/loss`."
    ),
    Reason.ORDER_KEY: "Invalid order_by key '{key}'; {choices}",
    Reason.TOO_MANY_ORDERS: "order_by has {given} elements; at most {most} are allowed.",
    Reason.TOO_MANY_EXPERIMENTS: "'experiment_ids' has more than {most} elements; use several searches.",
    Reason.SEARCH_TOO_SLOW: (
        "The search took longer than {seconds:g} seconds, so it was stopped. Make it simpler: fewer comparisons, "
        "patterns of LIKE and ILIKE with fewer % and none at the beginning, one name in order_by, fewer experiments or "
        "runs, a smaller max_results."
    ),
    Reason.PAGE_SIZE: "Invalid value {given} for parameter 'max_results' supplied: it must be from 1 to {most}.",
    Reason.PAGE_UNREADABLE: "Invalid page token: send the next_page_token of the last answer.",
    Reason.SORTED_PAGE_UNREADABLE: (
        "Invalid page token: send the next_page_token of the last answer, with the same order_by."
    ),
    Reason.PAGE_OF_OTHER_SEARCH: (
        "Invalid page token: it belongs to another search. Send it with the filter, order_by, experiments and view of "
        "the search that gave it, or leave page_token out to begin with the first page."
    ),
    Reason.LOCAL_MODE_REFUSED: (
        "This is not the token of this server. In local mode `mltrail-server serve` prints the right one at its start; "
        "set MLFLOW_TRACKING_TOKEN to it."
    ),
    Reason.NO_PROJECT: (
        "Project '{project}' not found, or not for this token. Check the project in MLFLOW_TRACKING_URI, and that the "
        "token's owner is a member of it."
    ),
    Reason.FIELD_MISSING: (
        "Missing value for required parameter '{field}'. See the API docs for more information about request "
        "parameters."
    ),
    Reason.FIELD_WRONG: "Invalid value{given} for parameter '{field}' supplied: {what}.",
    Reason.NO_ENDPOINT: (
        "No endpoint {method} {path}. Check the tracking URI, which should end in "
        "/api/v4/projects/<id>/ml/mlflow, or the version."
    ),
}


def of(error: MltrailError) -> str:
    return error.in_words(SENTENCES)
