"""Reasons for refusing a call that the edges word differently.

The value is the plain sentence, with its facts in braces: pages, GitLab's API, the command line and the log use it.
MLflow's clients look for MLflow's words, which are in `mlflow_api/sentences.py`. A refusal that every edge words alike
needs no reason: its sentence is where it is raised.
"""

from enum import Enum, unique


@unique
class Reason(Enum):
    # Experiments
    NO_EXPERIMENT = "This project has no experiment {iid}."
    NO_EXPERIMENT_NAMED = "This project has no experiment '{name}'."
    EXPERIMENT_NOT_IN_STAGE = "The experiment {iid} is not {expected}."
    EXPERIMENT_DELETED = "The experiment {iid} is deleted. Restore it first, or use another."
    EXPERIMENT_OF_MODEL = "This experiment belongs to the model '{model}': {doing} the model instead."
    EXPERIMENT_UNNAMED = "An experiment needs a name."
    EXPERIMENT_NAME_TOO_LONG = "An experiment's name has at most {most} characters."
    NO_EXPERIMENT_TAG = "The experiment {iid} has no tag '{key}'."

    # Runs, and what is logged to them
    NO_RUN = "This project has no run {eid}."
    RUN_DELETED = "The run {eid} is deleted. Restore it first."
    RUN_NAMED_TWICE = "The run is named both {name!r} and, by the tag '{tag}', {tagged!r}. Give it one name."
    NO_RUN_TAG = "The run {eid} has no tag '{key}'."
    PARAM_CHANGED = (
        "The parameter '{key}' of the run {eid} is '{old}' and can't become '{new}'. Log it under another name, or in "
        "a new run."
    )
    PARAM_TWICE = "The parameter '{key}' is given more than once."
    KEY_MISSING = "A {what} needs a name."
    KEY_CHARACTERS = (
        "The {what} name {key!r} can't be used: names consist of letters, digits, underscores, dashes, periods, "
        "spaces, colons and slashes."
    )
    KEY_PATH = (
        "The {what} name {key!r} can't be used: names are paths, so they don't begin or end with '/' and have no "
        "empty, '.' or '..' parts."
    )
    DATASET_FIELD_MISSING = "A dataset needs a {field}."
    DATASET_FIELD_TOO_LONG = "A dataset's {field} has at most {most} characters."
    METRIC_UNNAMED = "Name the metric whose history you want to see."

    # Logged models
    NO_LOGGED_MODEL = "This project has no logged model '{model_id}'."
    NO_LOGGED_MODEL_TO_LINK = "There is no logged model '{model_id}' in this project to link to."
    NO_LOGGED_MODEL_TAG = "The logged model '{model_id}' has no tag '{key}'."

    # Traces
    NO_TRACE = "This project has no trace '{trace_id}'."

    # Assessments, evaluation datasets and scorers
    NO_ASSESSMENT = "The trace '{trace_id}' has no assessment '{assessment_id}'."
    NO_EVALUATION_DATASET = "This project has no evaluation dataset '{dataset_id}'."
    NO_SCORER = "The experiment {iid} has no scorer '{name}'."
    NO_SCORER_VERSION = "The scorer '{name}' of the experiment {iid} has no version {version}."

    # Models, versions and aliases
    NO_MODEL = "This project has no model '{name}'."
    MODEL_EXISTS = "The model '{name}' already exists. Use it, or choose another name."
    MODEL_UNNAMED = "A model needs a name."
    MODEL_NAME_IS_PATH = "A model can't be named {quoted}: as a file's name, that would mean another folder."
    NO_VERSION = "The model '{name}' has no version {version}."
    MODEL_WITHOUT_VERSIONS = "The model '{name}' has no versions yet."
    VERSION_UNREADABLE = (
        "'{text:.60}' is not a version. Give its semantic version, such as 1.4.0, or its running number."
    )
    SOURCE_IN_OTHER_RUN = "The files are in the run {eid}, but the version is said to come from the run {claimed}."
    SOURCE_IN_OTHER_LOGGED_MODEL = "The files belong to {model_id}, but the version is said to come from {claimed}."
    NO_STAGE = "There is no stage '{text}'. Use one of {choices}."
    STAGE_ARCHIVES_NONE = "Moving a version to {stage} can't archive others; moving it to Staging or Production can."
    NO_ALIAS = "The model '{name}' has no alias '{alias}'. Set it first, or name a version."
    ALIAS_IS_LATEST = "'{alias}' can't be set as an alias: it always means the newest version."
    ALIAS_IS_LIKE_VERSION = "'{alias}' can't be set as an alias: it looks like a version."

    # Files
    NO_FILE = "There is no file '{inner}'."
    PATH_IN_NO_FOLDER = "'{path:.80}' is not in the folder of a run or a logged model."
    NUMBER_OF_PARTS = "A file is sent in 1 to {most} parts, not {given}. Send larger parts."

    # Promotions and detached runs
    NOTHING_TO_PROMOTE = "Name either a pipeline or a run to promote."
    JOB_PROMOTES_PIPELINE = "A job promotes for its pipeline: name the pipeline, and the metric that ranks its runs."
    NO_RUN_TO_DETACH = "Name the run to detach, or the experiment to begin a new one in."

    # Searches and their pages
    FILTER = "The filter is wrong at character {at}: {what}; {example}"
    FILTER_KEY = "There is no {entity} '{key}' to filter by. {choices}"
    ORDER = (
        "Can't sort by '{text:.500}': {why}. Write for example metrics.accuracy DESC, and a key with other characters "
        "in backticks: metrics.`val/loss`."
    )
    ORDER_KEY = "Can't sort by '{key}'; {choices}"
    TOO_MANY_ORDERS = "Can't sort by {given} things; at most {most} are allowed."
    TOO_MANY_EXPERIMENTS = "A search covers at most {most} experiments; use several searches."
    SEARCH_TOO_SLOW = (
        "The search took longer than {seconds:g} seconds, so it was stopped. Make it simpler: fewer comparisons, "
        "patterns of LIKE and ILIKE with fewer % and none at the beginning, only one thing to sort by, fewer "
        "experiments or runs."
    )
    PAGE_SIZE = "A page has from 1 to {most} entries, not {given}."
    PAGE_UNREADABLE = "The page token is damaged. Send the one that came with the page before."
    SORTED_PAGE_UNREADABLE = (
        "The page token is damaged, or belongs to another order. Send the one that came with the page before."
    )
    PAGE_OF_OTHER_SEARCH = "The page token belongs to another search. Leave it out to begin with the first page."

    # Tokens, addresses and bodies
    LOCAL_MODE_REFUSED = (
        "This is not this server's token. In local mode, `mltrail-server serve` prints it when it starts."
    )
    NO_PROJECT = (
        "Project '{project}' not found, or not for this token. Check the project, and that the token's owner is a "
        "member of it."
    )
    FIELD_MISSING = "The field '{field}' is missing."
    FIELD_WRONG = "The field '{field}' can't be read: {what}."
    NO_ENDPOINT = "No endpoint {method} {path}."
