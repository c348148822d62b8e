"""The page of a merge request for a report that is made of plain runs, as the gallery's are."""

from collections.abc import Mapping, Sequence

from flask import Flask, request

from mltrail_server.domain.identity import Access, Actor, Role, TokenKind
from mltrail_server.domain.ids import ProjectId
from mltrail_server.http.call import Call
from mltrail_server.services.ci.report import PipelineReport
from mltrail_server.services.context.deps import Deps
from mltrail_server.services.pages.merge_requests import KnownRequest, MergeRequestView
from mltrail_server.services.review import note
from mltrail_server.services.review.reports import Report
from mltrail_server.settings import Settings
from mltrail_server.store.ci.merge_requests import ListedMergeRequest, RequestPipeline
from mltrail_server.store.review.request_verdicts import RequestVerdict
from mltrail_server.ui import merge_requests
from tests.reports import GITLAB, SHA

PATH = "team/churn"
SETTINGS = Settings(
    external_url="https://mltrail.example.com", gitlab_url="https://gitlab.example.com", secret_key="key-of-the-tests"
)
REQUEST = ListedMergeRequest(
    7, "Deeper trees", "opened", "deeper", "main", f"{GITLAB}/-/merge_requests/7", 1, 907, None, None
)


def pipelines(number_of: int = 1) -> list[RequestPipeline]:
    return [
        RequestPipeline(
            907 - place, SHA, "success", f"{GITLAB}/-/pipelines/{907 - place}", 1_795_000_000_000 - place * 3_600_000, 5
        )
        for place in range(number_of)
    ]


def view_of(
    report: Report, made: Sequence[RequestPipeline] = (), verdicts: Mapping[int, RequestVerdict] | None = None
) -> MergeRequestView:
    text = note.body(report, settings=SETTINGS, project_path=PATH)
    of_pipeline = PipelineReport(report, text, "posted", f"{GITLAB}/-/merge_requests/7#note_1", None)
    known = KnownRequest(REQUEST, list(made) or pipelines(), verdicts or {}, [])
    return MergeRequestView(known, 907, of_pipeline, None)


def page_of(app: Flask, deps: Deps, view: MergeRequestView, role: Role = Role.REPORTER) -> str:
    """Render it for somebody with this role."""
    actor = Actor(TokenKind.ACCESS_TOKEN, ProjectId(42), PATH, "Ada", Access.READ, role=role)
    with app.test_request_context(f"/{PATH}/-/ml/merge_requests/7", base_url="https://mltrail.example.com"):
        return merge_requests.shown(Call(deps, actor, request), view)  # type: ignore[arg-type] # a proxy of it
