"""A project that gets another id, at this GitLab or another one, keeps its trail; pipelines are never mixed up."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mltrail_server.domain import former
from mltrail_server.domain.errors import MltrailError
from mltrail_server.domain.ids import ProjectId
from mltrail_server.services.admin import store_check
from mltrail_server.services.archives import importing, moves, writer
from mltrail_server.services.identity import projects
from mltrail_server.services.identity.projects import NamedProject
from mltrail_server.store import schema
from mltrail_server.store.archives.changes import LEFT_BEHIND, Trust
from mltrail_server.store.tracking import experiments
from tests.api.archives.filled import CONTRACT, PROJECT, Start, column, every_row
from tests.api.promotion.promoting import aliases, promote
from tests.api.trail import SHAS, Trail
from tests.fakes.gitlab import FakeGitLab
from tests.team import EXTERNAL_URL, team_in
from tests.ui.browsing import TEAM_ML, sign_in, team_page

NEW = NamedProject(ProjectId(77), "team/renamed")
BACKENDS = ("sqlite",)


def moved(trail: Trail, start: Start, folder: Path, how: str) -> Any:
    """Move the project to another id: on this server, or over an archive to a server with another GitLab."""
    if how == "here":
        return trail.deps, moves.move(trail.deps, NamedProject(PROJECT, "team/churn"), NEW)
    writer.export(trail.deps, PROJECT, folder)
    other = start(gitlab_url="https://gitlab.new.example")
    return other.deps, importing.import_archive(other.deps, folder, NEW)


@pytest.mark.parametrize("how", ["here", "elsewhere"])
def test_everything_comes_along_under_the_new_id(filled: Trail, start: Start, tmp_path: Path, how: str) -> None:
    before = every_row(filled.deps)
    deps, done = moved(filled, start, tmp_path / "out", how)
    after = every_row(deps, NEW.project_id)
    assert done.trust is Trust.MOVED
    assert set(done.left_out) == {name for name in LEFT_BEHIND if before[name]}
    for name, found in before.items():
        expected = len(found) + (name in ("origin", "counter"))
        assert len(after[name]) == (0 if name in LEFT_BEHIND else expected), name
    # What is not about GitLab is the same, but for the id.
    for name in ("metric", "param", "candidate_tag", "model_alias", "file", "evaluation_record"):
        assert [row[1:] for row in after[name]] == [row[1:] for row in before[name]]
    assert sorted(column(deps, schema.candidate_job.c.verified, NEW.project_id)) == sorted(
        row[5] for row in before["candidate_job"]
    )
    assert column(deps, schema.promotion.c.attestation, NEW.project_id) == [row[-1] for row in before["promotion"]]
    totals = store_check.check(deps, lambda problem: pytest.fail(problem.line()), with_digests=True)
    assert totals.lost == 0
    origin = dict(zip(("kind", "address"), every_row(deps, NEW.project_id)["origin"][0][2:4], strict=True))
    assert origin == {"kind": "moved", "address": f"{filled.deps.settings.gitlab_url}/team/churn"}
    if how == "here":
        assert [name for name, found in every_row(deps).items() if found] == ["experiment", "project"]


def test_numbers_of_the_former_project_are_never_given_out_again(filled: Trail) -> None:
    was = {name: column(filled.deps, which) for name, which in NUMBERS.items()}
    moves.move(filled.deps, NamedProject(PROJECT, "team/churn"), NEW)
    for name, which in NUMBERS.items():
        now = column(filled.deps, which, NEW.project_id)
        assert all(number < 0 for number in now)
        assert [former.original(number) for number in now] == was[name]


NUMBERS = {
    "pipelines": schema.pipeline.c.id,
    "jobs": schema.job.c.id,
    "merge requests": schema.merge_request.c.iid,
    "promotions": schema.promotion.c.pipeline_id,
    "red verdicts": schema.red_verdict.c.merge_request_iid,
}


def test_numbers_stay_apart_and_in_order_after_two_moves() -> None:
    first = [former.shifted(number) for number in (1, 2, 900)]
    second = [former.shifted(number) for number in (*first, 1, 2, 900)]
    assert sorted(second) == second
    assert len({*second, 1, 2, 900}) == 9
    assert [former.original(number) for number in second] == [1, 2, 900, 1, 2, 900]
    assert former.shifted(0) == 0


def test_the_worker_asks_gitlab_about_nothing_of_the_former_project(filled: Trail) -> None:
    moves.move(filled.deps, NamedProject(PROJECT, "team/churn"), NEW)
    filled.team.gitlab.requests.clear()
    assert filled.work(seconds=3600) == 0
    assert filled.team.gitlab.requests == []


class TestAtAnotherGitLab:
    """It begins with the same numbers as the former one did."""

    @pytest.fixture
    def new(self, filled: Trail, start: Start, tmp_path: Path) -> Iterator[Trail]:
        writer.export(filled.deps, PROJECT, tmp_path / "out")
        with FakeGitLab(clock=lambda: filled.clock() / 1000) as gitlab:
            team = team_in(gitlab)
            other = start(gitlab_url=gitlab.url, gitlab_token=team.tokens["bot"])
            assert importing.import_archive(other.deps, tmp_path / "out").trust is Trust.MOVED
            for sha, parent in ((SHAS["b"], "a1" * 20), (SHAS["d"], SHAS["b"])):
                files = {".mltrail.yml": CONTRACT}
                gitlab.add_commit(team.project, sha, parents=(parent,), branch="main", files=files)
            yield replace(other.trail, team=team)

    def test_pipelines_with_the_same_numbers_are_others(self, new: Trail, filled: Trail) -> None:
        was = every_row(filled.deps)
        request = new.request(SHAS["e"])
        pipeline = new.of_request(request, SHAS["e"])
        assert pipeline.id in column(filled.deps, schema.pipeline.c.id)
        new.train(pipeline, [0.85, 0.86, 0.87])
        new.work()
        (model,) = [one for one in new.report(pipeline)["models"] if one["name"] == "churn"]
        assert len(model["candidates"]) == 3
        # What the former default branch has trained is the baseline.
        assert former.original(model["baseline"]["pipeline_id"]) in column(filled.deps, schema.pipeline.c.id)
        (note,) = new.notes(request)
        assert f"{filled.team.gitlab.url}/team/churn/-/pipelines/" in note
        assert str(former.SHIFT)[:8] not in note
        after = every_row(new.deps)
        for name in ("promotion", "red_verdict", "alias_event"):
            assert len(after[name]) == len(was[name])

    def test_promotion_goes_on(self, new: Trail) -> None:
        pipeline = new.main(SHAS["e"], CONTRACT)
        new.train(pipeline, [0.95, 0.96, 0.97])
        (made,) = promote(new, pipeline)
        assert made["version"] == "1.0.1"
        assert aliases(new) == {"champion": "2"}

    def test_pages_name_the_numbers_of_the_former_gitlab_and_link_to_none_here(self, new: Trail) -> None:
        sign_in(new.client, new.team.tokens["maintainer"], base_url=EXTERNAL_URL)
        paths = ["merge_requests", "models/churn", "models/churn/versions/1.0.0", "experiments/1"]
        iids = column(new.deps, schema.candidate_job.c.candidate_iid)
        for path in [*paths, *(f"candidates/{iid}" for iid in iids)]:
            shown = team_page(new.client, f"{TEAM_ML}/{path}")
            assert "-2814749767" not in shown, path
        assert "of the former project" in team_page(new.client, f"{TEAM_ML}/candidates/{iids[0]}")


class TestRenamedOrTransferred:
    """The id stays, and so does everything. Its path follows with the first call."""

    def test_it_keeps_its_trail(self, filled: Trail) -> None:
        before = every_row(filled.deps)
        filled.team.gitlab.move_project(filled.team.project, "other-group/churn-2")
        filled.train(filled.main(SHAS["e"]), [0.9])
        after = every_row(filled.deps)
        assert projects.path_of(filled.deps.project(PROJECT)) == "other-group/churn-2"
        for name in ("promotion", "model_version", "alias_event", "red_verdict"):
            assert after[name] == before[name]
        assert after["candidate"][: len(before["candidate"])] == before["candidate"]


def test_a_target_with_something_in_it_is_refused(filled: Trail) -> None:
    before = every_row(filled.deps)
    with pytest.raises(MltrailError, match="is the same project"):
        moves.move(filled.deps, NamedProject(PROJECT, "team/churn"), NamedProject(PROJECT, "team/churn"))
    with filled.deps.project(NEW.project_id).write() as tx:
        experiments.create(tx, name="mine")
    with pytest.raises(MltrailError, match="is not empty: it has rows in 'experiment'"):
        moves.move(filled.deps, NamedProject(PROJECT, "team/churn"), NEW)
    assert every_row(filled.deps) == before
