"""A whole history that is imported: what it claims is shown, and it counts only once the contract says so."""

from mltrail_server.domain.ids import ProjectId
from mltrail_server.domain.transfer import Entity, Findings, TraceRecord
from mltrail_server.services.imports import importer
from mltrail_server.services.imports.plan import FilesMode, Plan
from mltrail_server.services.imports.progress import Progress
from tests.api.promotion.promoting import aliases, promote
from tests.api.review.merge_requests import BAD, RULE, a_request, contract
from tests.api.review.old_server import OldServer, a_record
from tests.api.trail import SHAS, Trail

PROMOTES = {"promote": "{from: [default], reuse_reviewed: true}"}


def bring(trail: Trail, source: OldServer) -> Findings:
    findings, progress = Findings(), Progress(lambda: 0.0)
    plan = Plan(ProjectId(42), "team/churn", files=FilesMode.LEAVE)
    report = importer.bring(trail.deps, source, [plan], findings, progress)
    (project,) = report.projects
    assert (findings.lost, project.source[Entity.RUN], project.here[Entity.RUN]) == (
        0,
        len(source.held),
        len(source.held),
    )
    assert project.source[Entity.TAG] == project.here[Entity.TAG]
    return findings


def test_it_counts_for_nothing_until_the_contract_says_so(trail: Trail) -> None:
    pipeline = trail.main(SHAS["b"], contract(RULE, **PROMOTES))
    job = trail.train(pipeline, [], experiment="other")
    held = [a_record(number, value, job_id=job.id) for number, value in enumerate((0.80, 0.81, 0.82))]
    trace = TraceRecord("tr-" + "1" * 32, "1", "OK", 1, metadata={"mlflow.sourceRun": held[0].id})
    bring(trail, OldServer(held, held[2], [trace]))
    for run in trail.runs():
        tags = {one["key"]: one["value"] for one in run["data"]["tags"]}
        assert tags["mltrail.imported_from"] == "MLflow 2.22.1 at https://mlflow.example.com"
        assert (tags["gitlab.CI_JOB_ID"], "gitlab.verified" in tags) == (str(job.id), False)
    assert [one["status"] for one in trail.report(pipeline)["models"][0]["candidates"]] == ["unverified"] * 3

    request, of_request = a_request(trail, BAD)
    report = trail.report(of_request)
    assert (report["models"][0]["baseline"], report["gate"]["outcome"]) == (None, "pass")
    assert "is not promoted as it is: `champion` is 1.0.2, which was imported from" in trail.notes(request)[0]

    second = trail.main(SHAS["d"], contract(RULE, imported="{baseline: true, champion: true}", **PROMOTES))
    trail.clock.advance(120_000)
    report = trail.report(of_request)
    assert (report["models"][0]["baseline"]["runs"], report["gate"]["outcome"]) == (3, "fail")
    trail.train(second, [0.83])
    (done,) = promote(trail, second)
    assert (done["state"], done["replaces"], aliases(trail)) == ("promoted", "1.0.2", {"champion": "4"})


def test_a_second_import_overwrites_nothing_that_was_written_here(trail: Trail) -> None:
    trail.main(SHAS["b"])
    run = a_record(1, 0.8, team="red")
    bring(trail, OldServer([run]))
    developer = trail.person("developer")
    developer.post("runs/log-metric", run_id=run.id, key="val_accuracy", value=0.1, timestamp=1, step=9)
    developer.post("runs/set-tag", run_id=run.id, key="reviewed", value="yes")
    developer.post("runs/log-metric", run_id=run.id, key="extra", value=1.0, timestamp=1)
    bring(trail, OldServer([run]))
    (shown,) = trail.runs()
    metrics = {one["key"]: one["value"] for one in shown["data"]["metrics"]}
    assert metrics == {"val_accuracy": 0.8, "extra": 1.0}
    assert {"key": "reviewed", "value": "yes"} in shown["data"]["tags"]
