"""A project that is renamed or transferred in GitLab, or whose group is, keeps its trail: its ID is what counts."""

import pytest

from mltrail_server.domain.ids import ProjectId
from mltrail_server.services.identity import projects
from tests.api.trail import SHAS, Trail
from tests.fakes.gitlab import MergeRequest, Pipeline
from tests.mlflow_client import Mlflow
from tests.team import EXTERNAL_URL
from tests.ui.browsing import sign_in, team_page

BACKENDS = ("sqlite",)
NEW = "other-group/retention"
PAGES = ("experiments", "experiments/1", "candidates/1", "merge_requests", "merge_requests/1")


@pytest.fixture
def renamed(trail: Trail, reviewed: tuple[MergeRequest, Pipeline]) -> Trail:
    """A trained default branch and a merge request with a note; then the project gets another path."""
    del reviewed
    trail.work()
    trail.team.gitlab.move_project(trail.team.project, NEW)
    return trail


def test_a_later_job_logs_to_the_same_project_and_the_same_note_is_edited(renamed: Trail) -> None:
    (request,) = renamed.team.project.merge_requests.values()
    (before,) = renamed.team.gitlab.notes(renamed.team.project, request.iid)
    renamed.train(renamed.of_request(request, SHAS["c"]), [0.95, 0.96, 0.97], lr="0.3")
    renamed.work()
    (after,) = renamed.team.gitlab.notes(renamed.team.project, request.iid)
    assert after.id == before.id
    assert "0.96" in after.body
    assert "0.96" not in before.body
    assert f"{renamed.team.gitlab.url}/{NEW}/-/pipelines/" in after.body
    assert projects.path_of(renamed.deps.project(ProjectId(42))) == NEW
    assert len(renamed.runs()) == 9
    by_path = Mlflow(renamed.client, project=NEW.replace("/", "%2F"), token=renamed.team.tokens["guest"])
    assert len(by_path.post("runs/search", experiment_ids=["1"])["runs"]) == 9


def test_the_former_default_branch_stays_the_baseline(renamed: Trail) -> None:
    (request,) = renamed.team.project.merge_requests.values()
    pipeline = renamed.of_request(request, SHAS["c"])
    renamed.train(pipeline, [0.5, 0.51, 0.52])
    renamed.work()
    (model,) = renamed.report(pipeline)["models"]
    assert (model["baseline"]["sha"], model["baseline"]["runs"]) == (SHAS["b"], 3)


def test_pages_are_at_the_new_path_and_the_old_one_leads_to_them(renamed: Trail) -> None:
    sign_in(renamed.client, renamed.team.tokens["maintainer"], base_url=EXTERNAL_URL)
    for path in PAGES:
        assert f"/{NEW}/-/ml/" in team_page(renamed.client, f"/{NEW}/-/ml/{path}"), path
        old = team_page(renamed.client, f"/team/churn/-/ml/{path}")
        assert f"/{NEW}/-/ml/" in old, path


def test_the_old_path_belongs_to_whoever_takes_it(renamed: Trail) -> None:
    """GitLab gives it to a new project, and no longer redirects."""
    gitlab, maintainer = renamed.team.gitlab, renamed.team.users["maintainer"]
    renamed.team.project.former_paths.clear()
    other = gitlab.add_project("team/churn")
    gitlab.add_member(other, maintainer, 40)
    by_path = Mlflow(renamed.client, project="team%2Fchurn", token=renamed.team.tokens["maintainer"])
    assert [one["name"] for one in by_path.post("experiments/search", max_results=10)["experiments"]] == ["Default"]
    sign_in(renamed.client, renamed.team.tokens["maintainer"], base_url=EXTERNAL_URL)
    team_page(renamed.client, "/team/churn/-/ml/candidates/1", 404)
    assert len(renamed.runs()) == 6


def test_the_path_follows_back_and_forth(renamed: Trail) -> None:
    for path in (NEW, "team/churn", NEW):
        renamed.team.gitlab.move_project(renamed.team.project, path)
        renamed.team.project.former_paths.discard(path)
        renamed.train(renamed.main(SHAS["d"]), [0.9])
        assert projects.path_of(renamed.deps.project(ProjectId(42))) == path
