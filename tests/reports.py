"""Reports made of plain runs, without a server: for tests of what a note says, and for pictures of notes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from mltrail_contract import Model, Outcome
from mltrail_server.domain import conclusion, gate, judgement, rules, silence
from mltrail_server.domain.cases import result
from mltrail_server.domain.cases.evaluation import EvaluationResult
from mltrail_server.domain.cases.result import CaseResult
from mltrail_server.domain.cases.table import Case
from mltrail_server.domain.cases.wear import wear
from mltrail_server.domain.comparison import NO_CONTRACT, compare
from mltrail_server.domain.conclusion import Conclusion, Level
from mltrail_server.domain.grouping import Run, RunState
from mltrail_server.domain.judgement import JudgedModel, ModelInput
from mltrail_server.domain.origins import Origin
from mltrail_server.domain.silence import Circumstances, Silence
from mltrail_server.services.contract import contracts
from mltrail_server.services.review.imported_baselines import ImportedBaseline
from mltrail_server.services.review.judged import Judged, ModelReport
from mltrail_server.services.review.reports import Report
from mltrail_server.store.ci.merge_requests import MergeRequest
from mltrail_server.store.ci.pipelines import Pipeline
from tests.evaluations import Evaluated

GITLAB = "https://gitlab.example.com/team/churn"
SHA = "3f9c21ab" * 5
BASE = "91be02d7" * 5


@dataclass
class Tables:
    """A table of cases that runs have logged, the named run's first on each side. `judged` merge requests have used it,
    this one included.
    """

    now: Sequence[Sequence[Case]]
    before: Sequence[Sequence[Case]]
    judged: int = 1


@dataclass
class Sides:
    """One model: its runs here, the baseline's, and those of the pipelines before it, newest first. `tables` are those
    that the contract names, `evaluations` those of the first run on each side, and `seen` is what is known if it has no
    runs here. `imported` is where the baseline's runs were imported from, `unused` what was imported and does not
    count.
    """

    runs: Sequence[Run]
    baseline: Sequence[Run] = ()
    history: Sequence[Sequence[Run]] = field(default_factory=list)
    tables: Mapping[str, Tables] = field(default_factory=dict)
    evaluations: Sequence[Evaluated] = ()
    seen: Circumstances = field(default_factory=Circumstances)
    imported: Origin | None = None
    unused: ImportedBaseline | None = None


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
    fork: bool = False,
) -> Report:
    """`text` is the contract that binds, `proposed` the merge request's own."""
    judged = _judged(models, text, target)
    fields: dict[str, object] = dict.fromkeys(MergeRequest.__dataclass_fields__)
    fields |= {"iid": 7, "target_branch": target, "web_url": f"{GITLAB}/-/merge_requests/7"}
    return Report(
        a_pipeline(907, SHA),
        MergeRequest(**fields),  # type: ignore[arg-type] # what a note does not look at is None
        judged.models,
        conclusion.overall((model.name, model.conclusion) for model in judged.models if model.runs),
        judged,
        None if proposed is None else _judged(models, proposed, target),
        tuple(run for sides in models.values() for run in sides.runs),
        tuple(local),
        target,
        fork=fork,
    )


def _judged(models: Mapping[str, Sides], text: str | None, target: str) -> Judged:
    version = contracts.parsed(text or None)
    known = version.contract.models if version.contract else {}
    inputs = []
    for name, sides in models.items():
        model = known.get(name, NO_CONTRACT)
        compared = compare(sides.runs, sides.baseline, history=sides.history, model=model)
        pipelines = range(900, 899 - len(sides.history), -1)
        evaluated = _evaluations(model, sides)
        tables = [*_tables(model, sides), *(one.result for each in evaluated for one in each.scorers)]
        inputs.append(
            ModelInput(name, compared, model, target, pipelines=pipelines, cases=tables, evaluations=evaluated)
        )
    found = judgement.judge_models(inputs)
    reports = tuple(_model_report(name, sides, found[name], known.get(name), target) for name, sides in models.items())
    if version.problems:
        return Judged(version, Outcome.WARN, "contract invalid", reports)
    outcomes = [one.outcome for one in reports if one.outcome is not None]
    silent = [one.outcome for one in reports if one.silence is not None and one.outcome is not None]
    summary = gate.summary((ruling.outcome for one in reports for ruling in one.rulings), silent)
    return Judged(version, rules.worst(outcomes) if outcomes else None, summary, reports)


def _tables(model: Model, sides: Sides) -> list[CaseResult]:
    return [result.found(model.cases[name], one.before, one.now) for name, one in sides.tables.items()]


def _evaluations(model: Model, sides: Sides) -> list[EvaluationResult]:
    baseline = sides.baseline[0].iid if sides.baseline else None
    return [one.result(model, sides.runs[0].iid, baseline) for one in sides.evaluations]


def _model_report(name: str, sides: Sides, judged: JudgedModel, model: Model | None, target: str) -> ModelReport:
    silent = silence.of(model, target, sides.seen) if model is not None and sides.baseline and not sides.runs else None
    rulings = () if silent is not None else judged.rulings
    outcome = rules.worst(one.outcome for one in rulings) if model is not None else None
    return ModelReport(
        name,
        tuple(sides.runs),
        judged.comparison,
        a_pipeline(900) if sides.baseline and sides.imported is None else None,
        _conclusion(judged, silent),
        model,
        rulings=rulings,
        outcome=outcome if silent is None else silent.outcome,
        history=tuple(a_pipeline(899 - place) for place in range(len(sides.history))),
        silence=silent,
        cases=tuple(_worn(one, sides) for one in judged.cases),
        evaluations=tuple(one.judged(judged.cases) for one in _evaluations(model or NO_CONTRACT, sides)),
        imported=sides.imported,
        unused=sides.unused,
    )


def _conclusion(judged: JudgedModel, silent: Silence | None) -> Conclusion:
    if silent is not None:
        return Conclusion(Level.UNKNOWN, silent.sentence)
    return conclusion.of_model(judged.comparison, judged.rulings, judged.cases)


def _worn(one: CaseResult, sides: Sides) -> CaseResult:
    if one.compared is None or one.name not in sides.tables:
        return one
    return replace(one, wear=wear(sides.tables[one.name].judged, one.compared))
