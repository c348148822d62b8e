"""Reports made of plain runs, without a server: for tests of what a note says, and for pictures of notes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from mltrail_contract import Outcome
from mltrail_server.domain import conclusion, gate, judgement
from mltrail_server.domain.comparison import NO_CONTRACT, compare
from mltrail_server.domain.grouping import Run, RunState
from mltrail_server.domain.judgement import ModelInput
from mltrail_server.services.contract import contracts
from mltrail_server.services.review.judge import Judged, ModelReport
from mltrail_server.services.review.reports import Report
from mltrail_server.store.ci.merge_requests import MergeRequest
from mltrail_server.store.ci.pipelines import Pipeline

GITLAB = "https://gitlab.example.com/team/churn"
SHA = "3f9c21ab" * 5
BASE = "91be02d7" * 5


@dataclass
class Sides:
    """One model: its runs here, the baseline's, and those of the pipelines before it, newest first."""

    runs: Sequence[Run]
    baseline: Sequence[Run] = ()
    history: Sequence[Sequence[Run]] = field(default_factory=list)


def a_run(iid: int, metrics: Mapping[str, float], **changes: object) -> Run:
    params = {"lr": "0.1", "seed": str(iid)}
    made = {"state": RunState.SUCCEEDED, "params": params, "job_id": 7, "job_name": "train", **changes}
    name = str(made.pop("name", f"run-{iid}"))
    job_url = str(made.pop("job_url", f"{GITLAB}/-/jobs/7"))
    return Run(iid, name, metrics=metrics, job_url=job_url, **made)  # type: ignore[arg-type] # a test's own values


def a_pipeline(number: int, sha: str = BASE) -> Pipeline:
    return Pipeline(number, sha, "main", "push", "success", f"{GITLAB}/-/pipelines/{number}", None)


def a_report(
    models: Mapping[str, Sides],
    text: str | None = None,
    *,
    proposed: str | None = None,
    target: str = "main",
    local: Sequence[Run] = (),
) -> Report:
    """`text` is the contract that binds, `proposed` the merge request's own."""
    judged = _judged(models, text, target)
    fields: dict[str, object] = dict.fromkeys(MergeRequest.__dataclass_fields__)
    fields |= {"iid": 7, "target_branch": target, "web_url": f"{GITLAB}/-/merge_requests/7"}
    return Report(
        a_pipeline(907, SHA),
        MergeRequest(**fields),  # type: ignore[arg-type] # what a note does not look at is None
        judged.models,
        conclusion.overall((model.name, model.conclusion) for model in judged.models),
        judged,
        None if proposed is None else _judged(models, proposed, target),
        tuple(run for sides in models.values() for run in sides.runs),
        tuple(local),
        target,
    )


def _judged(models: Mapping[str, Sides], text: str | None, target: str) -> Judged:
    version = contracts.parsed(text or None)
    known = version.contract.models if version.contract else {}
    inputs = []
    for name, sides in models.items():
        model = known.get(name, NO_CONTRACT)
        compared = compare(sides.runs, sides.baseline, history=sides.history, model=model)
        inputs.append(ModelInput(name, compared, model, target, pipelines=range(900, 899 - len(sides.history), -1)))
    found = judgement.judge_models(inputs)
    reports = []
    for name, sides in models.items():
        model, rulings = known.get(name), found[name].rulings
        reports.append(
            ModelReport(
                name,
                tuple(sides.runs),
                found[name].comparison,
                a_pipeline(900) if sides.baseline else None,
                conclusion.of_model(found[name].comparison, rulings),
                model,
                rulings=rulings,
                outcome=gate.worst(one.outcome for one in rulings) if model else None,
                history=tuple(a_pipeline(899 - place) for place in range(len(sides.history))),
            )
        )
    outcomes = [one.outcome for one in reports if one.outcome is not None]
    summary = gate.summary(ruling.outcome for one in reports for ruling in one.rulings)
    if version.problems:
        return Judged(version, Outcome.WARN, "contract invalid", tuple(reports))
    return Judged(version, gate.worst(outcomes) if outcomes else None, summary, tuple(reports))
