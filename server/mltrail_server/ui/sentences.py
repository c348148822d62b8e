"""What pages say in words of their own: about the thing on the page, and what to click."""

from collections.abc import Mapping

from mltrail_server.domain.errors import MltrailError
from mltrail_server.domain.reasons import Reason

_BEGIN = "Begin with the first page."

SENTENCES: Mapping[Reason, str] = {
    Reason.EXPERIMENT_DELETED: "This experiment is deleted. Restore it first.",
    Reason.RUN_DELETED: "This run is deleted. Restore it first.",
    Reason.NO_RUN_TAG: "This run has no tag '{key}' any more.",
    Reason.NO_PROJECT: "There is no project '{project}', or it is not for this token: are you a member of it?",
    Reason.NO_ENDPOINT: "There is no page at {path}. Check the address.",
    Reason.PAGE_UNREADABLE: f"The address of this page is damaged. {_BEGIN}",
    Reason.SORTED_PAGE_UNREADABLE: f"The address of this page is damaged, or belongs to another order. {_BEGIN}",
    Reason.PAGE_OF_OTHER_SEARCH: f"The address of this page belongs to another filter or order. {_BEGIN}",
}


def of(error: MltrailError) -> str:
    return error.in_words(SENTENCES)
