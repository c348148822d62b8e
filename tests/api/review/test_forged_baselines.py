"""What a merge request is compared with is the target branch's, and nobody else's to say."""

import secrets

from tests.api.trail import SHAS, Trail


def test_a_tag_that_is_called_as_the_target_branch_is_no_baseline(trail: Trail) -> None:
    gitlab, project = trail.team.gitlab, trail.team.project
    true = trail.main(SHAS["b"])
    trail.train(true, [0.9, 0.91])
    sha = secrets.token_hex(20)
    gitlab.add_commit(project, sha, parents=(project.branches["main"],), branch="tries")
    forged = gitlab.add_pipeline(project, sha, "main", "push", tag=True)
    trail.train(forged, [0.1, 0.11])
    assert trail.report(forged)["state"] == "ready"
    request = trail.request(SHAS["c"])
    pipeline = trail.of_request(request, SHAS["c"])
    trail.train(pipeline, [0.5, 0.51])
    (model,) = trail.report(pipeline)["models"]
    assert model["baseline"]["pipeline_id"] == true.id
    assert model["verdict"]["level"] == "bad"
