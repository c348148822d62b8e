"""A project goes out into a folder and into another server, and is the same there: docs/reference/archive.md."""

from pathlib import Path
from typing import Any

import pytest

from mltrail_server.domain.errors import MltrailError
from mltrail_server.services.admin import store_check
from mltrail_server.services.archives import importing, reader, writer
from mltrail_server.store import schema
from mltrail_server.store.archives.changes import Trust
from tests.api.archives.filled import PROJECT, Other, Start, column, every_row, pem
from tests.api.promotion.promoting import aliases, provenance_of
from tests.api.trail import SHAS, Trail

BACKENDS = ("sqlite",)
EMPTY = {"gate_override", "gate_refusal", "imported", "origin", "regression_issue", "tombstone", "webhook", "case_use"}


def answers(trail: Trail) -> list[Any]:
    """What clients can read of everything."""
    mlflow = trail.person("maintainer")
    experiments = mlflow.post("experiments/search", max_results=100, view_type="ALL")["experiments"]
    ids = [one["experiment_id"] for one in experiments]
    runs = mlflow.post("runs/search", experiment_ids=ids, run_view_type="ALL")["runs"]
    histories = [
        mlflow.get("metrics/get-history", run_id=run["info"]["run_id"], metric_key=metric["key"])
        for run in runs
        for metric in run["data"].get("metrics", ())
    ]
    models = mlflow.get("registered-models/search")
    versions = mlflow.get("model-versions/search")
    headers = {"Authorization": f"Bearer {trail.team.tokens['maintainer']}"}
    card = trail.client.get("/api/v4/projects/42/ml/models/churn/versions/1.0.0/card", headers=headers)
    return [experiments, runs, histories, models, versions, card.get_json(), provenance_of(trail)]


@pytest.mark.parametrize("backend", ["sqlite", "postgresql"])
def test_our_own_archive_restores_everything(filled: Trail, start: Start, tmp_path: Path) -> None:
    exported = writer.export(filled.deps, PROJECT, tmp_path / "out")
    assert exported.signed
    assert exported.lost == []
    other = start()
    done = importing.import_archive(other.deps, tmp_path / "out")
    assert (done.trust, done.left_out, done.differs) == (Trust.SAME, {}, False)
    before, after = every_row(filled.deps), every_row(other.deps)
    assert after == before
    assert {name for name, found in before.items() if not found} <= EMPTY
    assert done.rows == {name: len(found) for name, found in before.items()}
    assert answers(other.trail) == answers(filled)
    totals = store_check.check(other.deps, pytest.fail, with_digests=True)
    assert (totals.files, totals.lost) == (done.blobs, 0)
    # Contents are kept once: two files have the same.
    assert exported.manifest.blobs.contents < exported.manifest.blobs.count


def test_work_goes_on_where_it_was(filled: Trail, start: Start, tmp_path: Path) -> None:
    """New runs get new numbers, the next version the next number, and the gate compares with what came over."""
    writer.export(filled.deps, PROJECT, tmp_path / "out")
    other = start()
    importing.import_archive(other.deps, tmp_path / "out")
    trail = other.trail
    pipeline = trail.main(SHAS["e"])
    trail.train(pipeline, [0.9, 0.91, 0.92])
    report = trail.report(pipeline)
    assert "churn" in str(report)
    iids = column(other.deps, schema.candidate.c.iid)
    assert len(iids) == len(set(iids)) == len(column(filled.deps, schema.candidate.c.iid)) + 3


class TestForeign:
    @pytest.fixture
    def foreign(self, filled: Trail, start: Start, tmp_path: Path) -> Other:
        writer.export(filled.deps, PROJECT, tmp_path / "out")
        other = start(signing_key=pem(b"\x08"))
        done = importing.import_archive(other.deps, tmp_path / "out")
        assert done.trust is Trust.FOREIGN
        assert set(done.left_out) >= {"candidate_job", "pipeline", "job", "promotion", "merge_request", "red_verdict"}
        assert set(importing.reasons(done)) == set(done.left_out)
        return other

    def test_nothing_is_verified_and_everything_is_marked(self, foreign: Other) -> None:
        deps = foreign.deps
        for table in (schema.candidate_job, schema.pipeline, schema.promotion, schema.red_verdict, schema.due):
            assert column(deps, table.c.project_id) == []
        assert set(column(deps, schema.candidate.c.promoted)) == {False}
        assert set(column(deps, schema.candidate.c.protected)) == {None}
        assert set(column(deps, schema.model_version.c.promoted)) == {False}
        assert set(column(deps, schema.candidate_trace.c.own)) == {False}
        assert all(job_id is None or job_id < 0 for job_id in column(deps, schema.trace.c.job_id))
        (origin,) = column(deps, schema.origin.c.id)
        assert column(deps, schema.origin.c.kind) == ["archive"]
        assert column(deps, schema.origin.c.address) == ["https://mltrail.example.com/team/churn"]
        for table in (schema.candidate, schema.model_version, schema.trace):
            assert set(column(deps, table.c.origin_id)) == {origin}

    def test_what_is_no_evidence_is_all_there_but_no_baseline(self, foreign: Other, filled: Trail) -> None:
        before, after = answers_without_evidence(filled), answers_without_evidence(foreign.trail)
        assert after == before
        assert aliases(foreign.trail) == {"champion": "1"}
        provenance_of(foreign.trail, status=404)
        before, after = every_row(filled.deps), every_row(foreign.deps)
        for name in ("metric", "param", "candidate_tag", "file", "blob", "model_tag", "trace_tag", "evaluation_record"):
            assert unmarked(after[name]) == unmarked(before[name])
        assert MARKS[1] in str(after["candidate_tag"])
        assert MARKS[0] not in str(after["candidate_tag"])
        trail = foreign.trail
        request = trail.request(SHAS["e"])
        pipeline = trail.of_request(request, SHAS["e"])
        trail.train(pipeline, [0.9])
        (model,) = [one for one in trail.report(pipeline)["models"] if one["name"] == "churn"]
        assert model["baseline"] is None


MARKS = ("gitlab.verified", "mltrail.imported_from")
"""Tags that say what only the server that reads them can know."""


def unmarked(rows: list[Any]) -> list[Any]:
    return [row for row in rows if not any(mark in row for mark in MARKS)]


def answers_without_evidence(trail: Trail) -> list[Any]:
    mlflow = trail.person("maintainer")
    experiments = mlflow.post("experiments/search", max_results=100, view_type="ALL")["experiments"]
    ids = [one["experiment_id"] for one in experiments]
    runs = mlflow.post("runs/search", experiment_ids=ids, run_view_type="ALL")["runs"]
    models = mlflow.get("registered-models/search")["registered_models"]
    for tagged in (*(run["data"] for run in runs), *(one for model in models for one in model["latest_versions"])):
        tagged["tags"] = [one for one in tagged["tags"] if one["key"] not in MARKS]
    for run in runs:  # one that was still running has ended, since nobody can go on with it
        state, _ = run["info"].pop("status"), run["info"].pop("end_time", None)
        assert state in ("FINISHED", "RUNNING", "KILLED")
    return [experiments, runs, models]


def test_an_archive_without_a_signature_is_foreign(filled: Trail, start: Start, tmp_path: Path) -> None:
    writer.export(filled.deps, PROJECT, tmp_path / "out")
    (tmp_path / "out" / "signature.json").unlink()
    assert importing.import_archive(start().deps, tmp_path / "out").trust is Trust.FOREIGN


def test_a_project_with_something_in_it_is_refused(filled: Trail, tmp_path: Path) -> None:
    writer.export(filled.deps, PROJECT, tmp_path / "out")
    before = every_row(filled.deps)
    with pytest.raises(MltrailError, match=r"Project team/churn \(42\) is not empty"):
        importing.import_archive(filled.deps, tmp_path / "out")
    assert every_row(filled.deps) == before


def test_a_folder_with_something_in_it_is_refused(filled: Trail, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").touch()
    with pytest.raises(MltrailError, match="is not empty"):
        writer.export(filled.deps, PROJECT, tmp_path)


def test_an_export_that_was_interrupted_begins_anew(filled: Trail, tmp_path: Path) -> None:
    """With the contents that it has copied, but for those whose files were deleted since."""
    first = writer.export(filled.deps, PROJECT, tmp_path / "out")
    (tmp_path / "out/manifest.json").unlink()
    (tmp_path / "out/content.part").write_bytes(b"half")
    gone = tmp_path / "out/blobs/00" / ("00" * 32)
    gone.parent.mkdir(exist_ok=True)
    gone.touch()
    (tmp_path / "out/tables/metric-9.jsonl.gz").touch()
    again = writer.export(filled.deps, PROJECT, tmp_path / "out")
    assert again.manifest.blobs == first.manifest.blobs
    reader.opened(tmp_path / "out", None).check()
    with pytest.raises(MltrailError, match="already has an archive"):
        writer.export(filled.deps, PROJECT, tmp_path / "out")


def test_missing_bytes_are_listed_on_both_sides(filled: Trail, start: Start, tmp_path: Path) -> None:
    """A file whose bytes another file has, too, is not lost."""
    gone = column(filled.deps, schema.file.c.blob_id)[:2]
    filled.deps.files.delete(PROJECT, gone[0])
    assert writer.export(filled.deps, PROJECT, tmp_path / "healed").lost == []
    filled.deps.files.delete(PROJECT, gone[1])
    exported = writer.export(filled.deps, PROJECT, tmp_path / "out")
    assert {lost.blob_id for lost in exported.lost} == set(gone)
    assert all(lost.line().endswith(".txt: its content is missing") for lost in exported.lost)
    done = importing.import_archive(start().deps, tmp_path / "out")
    assert (set(done.missing), done.differs) == (set(gone), True)
