"""Where GitLab's API has its own wording: https://docs.gitlab.com/api/rest/troubleshooting/#status-code-400."""

from collections.abc import Mapping

from mltrail_server.domain.reasons import Reason

SENTENCES: Mapping[Reason, str] = {
    Reason.FIELD_MISSING: "'{field}' is missing",
    Reason.FIELD_WRONG: "'{field}' is invalid: {what}",
    Reason.NOTHING_TO_PROMOTE: "Name either a pipeline (`pipeline_id`) or a run (`candidate`) to promote.",
    Reason.JOB_PROMOTES_PIPELINE: (
        "A job promotes for its pipeline: give `pipeline_id`, and `rank_by` to choose among its runs."
    ),
    Reason.NO_RUN_TO_DETACH: "Which run? Give 'run_id', or 'experiment' to begin a new one in it.",
    Reason.NO_ENDPOINT: (
        "No endpoint {method} {path}. Check the path, and whether this server is older than the client."
    ),
}
