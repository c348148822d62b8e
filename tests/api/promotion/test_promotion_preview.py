"""What a merge will do to a model, said beforehand in the merge request's note."""

from mltrail_server.domain.ids import ProjectId
from mltrail_server.services.contract.contracts import parsed
from mltrail_server.services.promotion import preview as preview_service
from mltrail_server.services.promotion.preview import Preview
from mltrail_server.services.review import pipeline_runs
from tests.api.promotion.promoting import promote
from tests.api.trail import SHAS, Trail
from tests.fakes.gitlab import Pipeline

CONTRACT = "version: 1\nmodels: {churn: {promote: {alias: live, reuse_reviewed: true}}}"


def preview(
    trail: Trail, pipeline: Pipeline, *, contract: str | None = None, up_to_date: bool | None = None
) -> Preview:
    with trail.deps.project(ProjectId(42)).read() as tx:
        (run,) = pipeline_runs.of_pipeline(tx, pipeline.id)["churn"]
        found = preview_service.foresee(
            tx,
            trail.deps,
            model="churn",
            run=run,
            pipeline_id=pipeline.id,
            contract=parsed(contract).contract,
            up_to_date=up_to_date,
        )
    assert found is not None
    return found


def test_it_shows_the_next_version(trail: Trail) -> None:
    first = trail.main(SHAS["b"])
    trail.train(first, [0.8])
    promote(trail, first)
    pipeline = trail.of_request(trail.request(SHAS["c"]), SHAS["c"])
    trail.train(pipeline, [0.9], lr="0.2")
    found = preview(trail, pipeline, up_to_date=True)
    assert (found.version, found.bump, found.replaces) == ("1.1.0", "minor", "1.0.0")
    assert found.reason == "lr 0.1 → 0.2, other code"
    assert found.more == (
        "If merged as it is, this candidate is promoted without training again: the files are the same."
    )
    assert "The target branch has moved on" in (preview(trail, pipeline, up_to_date=False).more or "")
    assert not preview(trail, pipeline, up_to_date=None).more


def test_the_note_says_whether_the_target_branch_will_train_again(trail: Trail) -> None:
    first = trail.main(SHAS["b"])
    trail.train(first, [0.8])
    promote(trail, first)
    request = trail.request(SHAS["c"])
    pipeline = trail.of_request(request, SHAS["c"])
    trail.train(pipeline, [0.9], lr="0.2")
    trail.report(pipeline)
    assert "promoted without training again: the files are the same." in trail.notes(request)[0]
    trail.team.gitlab.add_commit(trail.team.project, SHAS["e"], parents=(SHAS["b"],), branch="main", files={"a": "b"})
    trail.report(pipeline)
    assert "The target branch has moved on" in trail.notes(request)[0]
    sha = trail.team.gitlab.merged_result(trail.team.project, request.iid)
    ref = f"refs/merge-requests/{request.iid}/merge"
    result = trail.team.gitlab.add_pipeline(trail.team.project, sha, ref, "merge_request_event")
    trail.train(result, [0.9], lr="0.2")
    trail.report(result)
    assert "promoted without training again: the files are the same." in trail.notes(request)[0]


def test_the_note_says_where_the_target_branch_has_no_pipeline(trail: Trail) -> None:
    """GitLab makes none of `.post` jobs alone, without an error: then nothing would be promoted."""
    first = trail.main(SHAS["b"])
    trail.train(first, [0.8])
    promote(trail, first)
    request = trail.request(SHAS["c"])
    pipeline = trail.of_request(request, SHAS["c"])
    trail.train(pipeline, [0.9], lr="0.2")
    trail.report(pipeline)
    assert "has run no pipeline" not in trail.notes(request)[0]
    trail.team.gitlab.add_commit(trail.team.project, SHAS["e"], parents=(SHAS["b"],), branch="main")
    trail.report(pipeline)
    (note,) = trail.notes(request)
    assert f"has run no pipeline on the target branch's last commit, `{SHAS['e'][:8]}`" in note
    assert "`promote-stage`" in note
    trail.team.gitlab.add_pipeline(trail.team.project, SHAS["e"], "main", "push")
    trail.report(pipeline)
    assert "has run no pipeline" not in trail.notes(request)[0]


def test_the_contracts_policy(trail: Trail) -> None:
    pipeline = trail.of_request(trail.request(SHAS["c"]), SHAS["c"])
    trail.train(pipeline, [0.9])
    found = preview(trail, pipeline, contract=CONTRACT, up_to_date=True)
    assert (found.version, found.bump, found.reason, found.alias) == ("1.0.0", "first", "no earlier release", "live")


def test_a_project_that_promotes_nothing_hears_nothing(trail: Trail) -> None:
    pipeline = trail.of_request(trail.request(SHAS["c"]), SHAS["c"])
    trail.train(pipeline, [0.9])
    with trail.deps.project(ProjectId(42)).read() as tx:
        (run,) = pipeline_runs.of_pipeline(tx, pipeline.id)["churn"]
        for contract in (None, "version: 1\nmodels: {churn: {}}"):
            assert (
                preview_service.foresee(
                    tx,
                    trail.deps,
                    model="churn",
                    run=run,
                    pipeline_id=pipeline.id,
                    contract=parsed(contract).contract,
                    up_to_date=True,
                )
                is None
            )


def test_the_note_says_what_a_promotion_will_refuse(trail: Trail) -> None:
    first = trail.main(SHAS["b"])
    trail.train(first, [0.95, 0.951, 0.952])
    promote(trail, first)
    request = trail.request(SHAS["c"])
    worse = trail.of_request(request, SHAS["c"])
    trail.train(worse, [0.5, 0.51, 0.52], lr="0.2")
    (model,) = trail.report(worse)["models"]
    refused = model["merging_publishes"]["refused"]
    assert refused.startswith("it is worse than `champion`, which is 1.0.0: `val_accuracy` 0.95 → 0.51")
    (note,) = trail.notes(request)
    assert "**On merge:** `churn` is not promoted as it is: it is worse than `champion`" in note
    assert "allow_worse: [val_accuracy]" in note
    asks = trail.of_request(request, SHAS["c"])
    trail.train(asks, [0.5, 0.51, 0.52], metric="toxicity_score")
    trail.report(asks)
    (note,) = trail.notes(request)
    assert "`rank_by: {metric: toxicity_score, better: higher}`" in note or "rank_by: {metric: toxicity_score" in note
    better = trail.of_request(request, SHAS["c"])
    trail.train(better, [0.97, 0.971, 0.972])
    (model,) = trail.report(better)["models"]
    assert model["merging_publishes"]["refused"] is None
    assert "**On merge:** `churn` 1.1.0 replaces 1.0.0 as `champion`: run " in trail.notes(request)[0]
