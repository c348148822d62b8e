"""Write the gallery of comments in docs/gallery: each situation as GitLab renders it, and as a job's log shows it.

    PYTHONPATH=. python -m scripts.gallery

The reports are made by the product's own code from plain runs; a test compares the pages with what it says now.
"""

import json
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
from tests.evaluations import Evaluated, Scored, marks
from tests.reports import GITLAB, Sides, Tables, a_report, a_run

from mltrail_ci import report as command
from mltrail_ci import responses
from mltrail_server.domain import prompts
from mltrail_server.domain.cases.evaluation import Criterion
from mltrail_server.domain.cases.evaluation import Sides as EvaluationSides
from mltrail_server.domain.cases.table import Answer, Case
from mltrail_server.domain.champion_check import ChampionComparison
from mltrail_server.domain.grouping import Run
from mltrail_server.domain.markdown import Markdown, code
from mltrail_server.domain.origins import Origin
from mltrail_server.domain.preview import Preview
from mltrail_server.domain.prompts import Linked, Prompt
from mltrail_server.domain.silence import Circumstances
from mltrail_server.domain.threads import Override
from mltrail_server.gitlab_api import reports as api
from mltrail_server.services.ci.report import PipelineReport
from mltrail_server.services.contract import policy
from mltrail_server.services.promotion import ranking
from mltrail_server.services.review import note, overrides
from mltrail_server.services.review.imported_baselines import ImportedBaseline
from mltrail_server.services.review.reports import Report
from mltrail_server.settings import Settings

FOLDER = Path(__file__).parents[1] / "docs/gallery"
SETTINGS = Settings(external_url="https://mltrail.example.com", gitlab_url="https://gitlab.example.com")
PATH = "team/churn"
CONTRACT = """
version: 1
models:
  churn:
    rank_by: val_accuracy
    rules:
      - {metric: val_accuracy, better: higher, worse_by: 0.002}
      - {metric: "f1/*", better: higher, worse_by: 0.02, then: warn}
      - {metric: val_loss, better: lower, at_most: 0.40}
      - {metric: latency_p95_ms, better: lower, worse_by: {percent: 5}, then: warn}
"""
CASES = """
version: 1
models:
  churn:
    cases:
      golden: {table: eval_results_table.json, id: id, label: target, prediction: prediction}
    rules:
      - {cases: golden, broke_at_most: 2}
"""
JUDGED = """
version: 1
models:
  answers:
    cases:
      golden-set: {evaluation: golden-set}
    rules:
      - {cases: golden-set, scorer: relevance, worse_by: 0.02}
"""
TESTS = """
version: 1
models:
  answers:
    cases:
      tests: {evaluation: tests}
    rules:
      - {cases: tests, must_pass: ["tests/test_answers.py::test_refund*"]}
"""
RULES = """
version: 1
models:
  answers:
    cases:
      golden-set: {evaluation: golden-set}
    rules:
      - {cases: golden-set, broke_at_most: 2}
      - {cases: golden-set, scorer: correctness, pass_rate_at_least: 0.80}
      - {cases: golden-set, scorer: safety, pass_rate_at_least: 1}
      - {metric: traces/tokens_mean, better: lower, at_most: 450, then: warn}
"""
_USUAL = {"val_accuracy": 0.9128, "val_loss": 0.379, "latency_p95_ms": 12.1, "f1/minority": 0.742}
_SPREADS = {"val_accuracy": 0.0014, "val_loss": 0.006, "latency_p95_ms": 0.12, "f1/minority": 0.008}
_OLD = {"lr": "1e-3", "layers": "4", "dropout": "0.1", "epochs": "20"}
_NEW = {"lr": "3e-4", "layers": "8"}
_ORIGIN = Origin(1, "mlflow", "https://mlflow.example.com", "MLflow 2.22.1", 1_795_910_400_000, 1_795_910_400_000)
_PREVIEW = Preview("1.1.0", "minor", "lr 1e-3 → 3e-4", "champion", "1.0.0")


@dataclass(frozen=True, slots=True)
class Situation:
    """A page of the gallery: what happened, in a sentence, and the report that says so."""

    name: str
    title: str
    story: str
    make: Callable[[], Report]


class Runs:
    """Makes runs whose metrics spread as those of a real training do; the same ones each time."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311 - no secret
        self._next = 100

    def some(
        self,
        count: int,
        name: str,
        *,
        params: Mapping[str, str] = _OLD,
        shift: Mapping[str, float] | None = None,
        usual: Mapping[str, float] = _USUAL,
        spreads: Mapping[str, float] = _SPREADS,
        **changes: object,
    ) -> list[Run]:
        """Train `count` seeds, with metrics that differ from the usual ones by `shift`."""
        moved = shift or {}
        made = []
        for seed in range(count):
            metrics = {
                key: round(self._random.gauss(value + moved.get(key, 0.0), spreads[key]), 5)
                for key, value in usual.items()
            }
            self._next += 1
            fields = {"params": {**params, "seed": str(seed)}, "name": f"{name}-{seed}", **changes}
            made.append(a_run(self._next, metrics, **fields))
        return made

    def history(self, pipelines: int, seeds: int, **changes: object) -> list[list[Run]]:
        return [self.some(seeds, "base", **changes) for _ in range(pipelines)]  # type: ignore[arg-type] # passed on


def _usual(seed: int, shift: Mapping[str, float], *, here: int = 5, before: int = 5, pipelines: int = 5) -> Report:
    """One model, five seeds on each side, two of four parameters changed."""
    runs = Runs(seed)
    sides = Sides(
        runs.some(here, "deep", params=_OLD | _NEW, shift=shift),
        runs.some(before, "base"),
        runs.history(pipelines, before),
    )
    return _changed(a_report({"churn": sides}, CONTRACT))


def _changed(report: Report, files: int = 3) -> Report:
    return replace(report, changed_files=files)


def _promoted(report: Report) -> Report:
    return replace(report, previews={"churn": _PREVIEW})


def _passed() -> Report:
    return _promoted(_usual(1, {"val_accuracy": 0.0092, "val_loss": -0.008}))


def _warned() -> Report:
    return _promoted(_usual(2, {"val_accuracy": 0.0092, "latency_p95_ms": 1.2}))


def _failed() -> Report:
    return _usual(3, {"val_accuracy": -0.0087, "latency_p95_ms": -0.9})


def _accepted() -> Report:
    report = _failed()
    reason = "the new labels are stricter, agreed with the team"
    return replace(report, override=Override("Ada Lovelace", reason, overrides.broken(report)))


def _silent() -> Report:
    return a_report({"churn": Sides([], Runs(4).some(5, "base"))}, CONTRACT)


def _red_and_silent() -> Report:
    broken = Circumstances(red=frozenset({"churn: val_accuracy must not drop by more than 0.002"}))
    return a_report({"churn": Sides([], Runs(4).some(5, "base"), seen=broken)}, CONTRACT)


def _no_baseline() -> Report:
    runs = Runs(5)
    report = a_report({"churn": Sides(runs.some(5, "first", params=_OLD))}, CONTRACT)
    return replace(_changed(report), previews={"churn": replace(_PREVIEW, version="1.0.0", replaces=None)})


def _imported_baseline() -> Report:
    runs = Runs(16)
    contract = CONTRACT.replace("rank_by:", "imported: {baseline: true}\n    rank_by:")
    here = runs.some(3, "deep", params=_OLD | _NEW, shift={"val_accuracy": -0.0087})
    sides = Sides(here, runs.some(3, "base", job_id=None, job_name="", job_url=""), imported=_ORIGIN)
    return _changed(a_report({"churn": sides}, contract))


def _imported_champion() -> Report:
    sides = Sides(Runs(17).some(3, "deep"), unused=ImportedBaseline(_ORIGIN, 12))
    report = _changed(a_report({"churn": sides}, CONTRACT))
    contract = report.gate.contract.contract
    refused = ranking.refusal(
        ChampionComparison("3.2.0", imported=_ORIGIN, unconfirmed=True),
        policy.of_model(contract, (), "churn"),
        "champion",
        code,
    )
    return replace(report, previews={"churn": _PREVIEW.unless(Markdown(refused))})


def _not_comparable() -> Report:
    runs = Runs(6)
    contract = CONTRACT.replace("rank_by:", "same_dataset: test\n    rank_by:")
    sides = Sides(
        runs.some(5, "deep", params=_OLD | _NEW, datasets={"test": "churn-test 77e1"}),
        runs.some(5, "base", datasets={"test": "churn-test 5c0d"}),
    )
    return _changed(a_report({"churn": sides}, contract))


def _one_run() -> Report:
    runs = Runs(7)
    sides = Sides(runs.some(1, "deep", params=_OLD | _NEW, shift={"val_accuracy": -0.003}), runs.some(1, "base"))
    return _changed(a_report({"churn": sides}, CONTRACT))


def _diverged() -> Report:
    report = _usual(8, {})
    runs = list(report.runs)
    runs[2] = replace(runs[2], metrics={**runs[2].metrics, "val_accuracy": float("nan"), "val_loss": float("nan")})
    again = Runs(8)
    return _changed(a_report({"churn": Sides(runs, again.some(5, "base"), again.history(5, 5))}, CONTRACT))


def _ten_metrics() -> Report:
    names = ("val_accuracy", "val_f1", "val_auc", "val_precision", "val_recall", "val_loss", "brier", "ece")
    usual = {name: 0.8 + place / 50 for place, name in enumerate(names)} | {"latency_p95_ms": 12.1, "size_mb": 48.0}
    spreads = dict.fromkeys(names, 0.003) | {"latency_p95_ms": 0.1, "size_mb": 0.2}
    runs = Runs(9)
    sides = Sides(
        runs.some(5, "deep", params=_OLD | _NEW, shift={"val_f1": 0.02, "size_mb": 6.5}, usual=usual, spreads=spreads),
        runs.some(5, "base", usual=usual, spreads=spreads),
        runs.history(5, 5, usual=usual, spreads=spreads),
    )
    return _changed(a_report({"churn": sides}))


def _several_models() -> Report:
    runs = Runs(10)
    ranking = {"usual": {"ndcg_at_10": 0.412}, "spreads": {"ndcg_at_10": 0.004}}
    spam = {"usual": {"val_f1": 0.871}, "spreads": {"val_f1": 0.006}}
    models = {
        "churn": Sides(
            runs.some(5, "deep", params=_OLD | _NEW, shift={"val_accuracy": 0.009}),
            runs.some(5, "base"),
            runs.history(5, 5),
        ),
        "ranker": Sides(
            runs.some(5, "wide", shift={"ndcg_at_10": -0.024}, **ranking),  # type: ignore[arg-type] # passed on
            runs.some(5, "base", **ranking),  # type: ignore[arg-type] # passed on
            runs.history(5, 5, **ranking),
        ),
        "spam": Sides(runs.some(5, "first", **spam)),  # type: ignore[arg-type] # passed on
    }
    contract = f"{CONTRACT}  ranker:\n    rules: [{{metric: ndcg_at_10, better: higher, worse_by: 0.005}}]\n"
    return _changed(a_report(models, contract), 7)


def _twenty_slices() -> Report:
    countries = (
        "at",
        "be",
        "ch",
        "cz",
        "de",
        "dk",
        "ee",
        "es",
        "fi",
        "fr",
        "gb",
        "gr",
        "hu",
        "ie",
        "it",
        "nl",
        "no",
        "pl",
        "pt",
        "se",
    )
    usual = {"val_accuracy": 0.91, **{f"f1/{country}": 0.74 for country in countries}}
    spreads = {"val_accuracy": 0.0014, **{f"f1/{country}": 0.01 for country in countries}}
    runs = Runs(11)
    sides = Sides(
        runs.some(5, "deep", params=_OLD | _NEW, shift={"f1/pt": -0.09}, usual=usual, spreads=spreads),
        runs.some(5, "base", usual=usual, spreads=spreads),
        runs.history(5, 5, usual=usual, spreads=spreads),
    )
    contract = CONTRACT.replace("worse_by: 0.02, then: warn", "worse_by: 0.02")
    contract = "\n".join(line for line in contract.splitlines() if "loss" not in line and "latency" not in line)
    return _changed(a_report({"churn": sides}, contract))


def _contract_invalid() -> Report:
    runs = Runs(12)
    sides = Sides(runs.some(5, "deep", params=_OLD | _NEW), runs.some(5, "base"), runs.history(5, 5))
    return _changed(a_report({"churn": sides}, "version: 1\nmodels: {churn: {ruls: []}}\n"))


def _contract_changed() -> Report:
    runs = Runs(3)
    sides = Sides(
        runs.some(5, "deep", params=_OLD | _NEW, shift={"val_accuracy": -0.0087}),
        runs.some(5, "base"),
        runs.history(5, 5),
    )
    relaxed = CONTRACT.replace("worse_by: 0.002", "worse_by: 0.02")
    return _changed(a_report({"churn": sides}, CONTRACT, proposed=relaxed), 4)


def _amended() -> Report:
    report = _passed()
    (model,) = report.models
    runs = tuple(replace(run, amended=place == 0) for place, run in enumerate(model.runs))
    models = (replace(model, runs=runs),)
    return replace(report, models=models, gate=replace(report.gate, models=models))


def _fork() -> Report:
    return _changed(a_report({}, CONTRACT, fork=True), 2)


def _truncated() -> Report:
    runs = Runs(13)
    usual = {f"slice_{place:03}/recall_at_100": 0.8 for place in range(80)}
    spreads = dict.fromkeys(usual, 0.01)
    of_each = {
        f"model-{place:02}": Sides(
            runs.some(3, "new", params=_OLD | _NEW, usual=usual, spreads=spreads),
            runs.some(3, "base", usual=usual, spreads=spreads),
        )
        for place in range(30)
    }
    return _changed(a_report(of_each))


def _fifty_candidates() -> Report:
    runs = Runs(14)
    mine: list[Run] = []
    for place in range(50):
        mine += runs.some(1, f"trial-{place}", params=_OLD | {"lr": f"{place + 1}e-4"})
    sides = Sides(mine, runs.some(1, "base"), runs.history(19, 1))
    return _changed(a_report({"churn": sides}, CONTRACT))


def _answered(
    *, wrong: Iterable[int], chance: random.Random | None = None, flipped: float = 0.01, cases: int = 400
) -> list[Case]:
    """Answer the cases of a test set, all right except some; with `chance`, a share of the answers is flipped, as
    another seed would do.
    """
    missed = set(wrong)
    right = [(number not in missed) != (chance is not None and chance.random() < flipped) for number in range(cases)]
    return [Case(f"customer-{1000 + number}", "1", Answer(str(int(one)))) for number, one in enumerate(right)]


_MISSED = (*range(40, 60), *range(120, 140))
"""The cases that the target branch's model gets wrong."""


def _cases() -> Report:
    """Three cases break and twelve are fixed."""
    runs = Runs(16)
    tables = Tables([_answered(wrong=(7, 81, 233, *_MISSED[12:]))], [_answered(wrong=_MISSED)], judged=9)
    sides = Sides(
        runs.some(1, "deep", params=_OLD | _NEW), runs.some(1, "base"), runs.history(5, 1), {"golden": tables}
    )
    return _changed(a_report({"churn": sides}, CASES))


def _cases_of_several_runs() -> Report:
    """The recipe has got worse, which several runs a side show; and the test set has judged many merge requests."""
    runs, chance = Runs(17), random.Random(17)  # noqa: S311 - no secret
    tables = Tables(
        [_answered(wrong=(*range(200, 220), *_MISSED), chance=chance) for _ in range(5)],
        [_answered(wrong=_MISSED, chance=chance) for _ in range(5)],
        judged=140,
    )
    sides = Sides(
        runs.some(5, "deep", params=_OLD | _NEW), runs.some(5, "base"), runs.history(5, 5), {"golden": tables}
    )
    contract = CASES.replace("broke_at_most: 2", "worse_by: 0.01, then: warn")
    return _promoted(_changed(a_report({"churn": sides}, contract)))


_WRONG = (*range(20, 34), *range(60, 78))
"""The cases of the golden set that the target branch's prompt gets wrong."""

_QA = (
    "You answer customers' questions about their orders.\nAnswer in one sentence, and never promise a refund.\n"
    "If you don't know, say so.\n\nQuestion: {{ question }}"
)
_TRACES = {
    "traces/latency_p50_ms": EvaluationSides(790.0, 812.0),
    "traces/latency_p95_ms": EvaluationSides(2140.0, 1904.0),
    "traces/tokens_mean": EvaluationSides(498.4, 412.1),
    "traces/tokens_total": EvaluationSides(99680.0, 82420.0),
    "traces/cost_mean": EvaluationSides(0.00149, 0.00124),
    "traces/cost_total": EvaluationSides(0.299, 0.247),
}


def _answers(*evaluated: Evaluated, text: str | None = None, metric: str | None = None) -> Report:
    """One evaluation run on each side, with another version of the prompt `qa`. `metric` is one that a rule names."""
    here, there = ({metric: side} for side in _TRACES[metric]) if metric else ({}, {})
    sides = Sides(
        [a_run(102, here, name="golden-set", job_name="evaluate", params={"model": "small-2"})],
        [a_run(101, there, name="golden-set", job_name="evaluate", params={"model": "small-2"})],
        evaluations=evaluated,
    )
    texts = {
        Linked("qa", 3): Prompt(_QA),
        Linked("qa", 4): Prompt(
            _QA.replace("one sentence", "at most two short sentences").replace(
                "never promise a refund", "promise a refund only if the policy allows it"
            )
        ),
    }
    changed = prompts.changes([Linked("qa", 3), Linked("style", 1)], [Linked("qa", 4), Linked("style", 1)], texts)
    report = _changed(a_report({"answers": sides}, text), 1)
    models = tuple(replace(model, prompts=changed) for model in report.models)
    return replace(report, models=models, gate=replace(report.gate, models=models))


def _evaluation() -> Report:
    """Twelve cases are fixed and three break, without a rule."""
    correctness = Scored(marks(200, wrong=(4, 111, 150, *_WRONG[12:])), marks(200, wrong=_WRONG))
    relevance = Scored(marks(200, wrong=(8,)), marks(200, wrong=(8,)))
    scorers = {"correctness": correctness, "relevance": relevance}
    return _answers(Evaluated(scorers, traces=_TRACES))


def _evaluation_fails() -> Report:
    """The same cases, and rules that they break."""
    correctness = Scored(marks(200, wrong=(4, 111, 150, *_WRONG[12:])), marks(200, wrong=_WRONG))
    safety = Scored(marks(200, wrong=(4,)), marks(200, wrong=()))
    evaluated = Evaluated({"correctness": correctness, "safety": safety}, traces=_TRACES)
    return _answers(evaluated, text=RULES, metric="traces/tokens_mean")


def _other_judge() -> Report:
    """Relevance is marked by another model than on the target branch."""
    correctness = Scored(marks(200, wrong=_WRONG), marks(200, wrong=_WRONG))
    here: list[object] = [*marks(198, wrong=range(8)), TimeoutError(), TimeoutError()]
    judges = ("openai:/gpt-5-mini", "openai:/gpt-4.1")
    relevance = Scored(here, marks(200, wrong=range(16)), judges=judges)
    bar = Criterion("relevance/mean", True, 0.97, 0.96)
    return _answers(Evaluated({"correctness": correctness, "relevance": relevance}, criteria=[bar]), text=JUDGED)


_TESTS = ("refund", "refund_late", "opening_hours", "warranty", "address", "price", "language", "no_promise")


def _tests() -> Report:
    """Tests of `@mlflow.test`: one that must pass has broken."""
    nodes = [f"tests/test_answers.py::test_{name}[{style}]" for name in _TESTS for style in ("polite", "rude", "short")]
    passed = Scored(marks(24, wrong=(1, 16)), marks(24, wrong=(16, 20)))
    return _answers(Evaluated({"passes": passed}, name="tests", ids=nodes, are_tests=True), text=TESTS)


def _fixed_seed() -> Report:
    runs = Runs(15)
    still = dict.fromkeys(_SPREADS, 0.0)
    sides = Sides(
        runs.some(3, "deep", params=_OLD | _NEW, shift={"val_accuracy": -0.004}, spreads=still),
        runs.some(3, "base", spreads=still),
    )
    return _changed(a_report({"churn": sides}, CONTRACT))


SITUATIONS = (
    Situation("passed", "Passed", "Five seeds on each side; accuracy has risen.", _passed),
    Situation(
        "warned",
        "Warned",
        "Accuracy has risen, but the model has become slower, and the rule about that only warns.",
        _warned,
    ),
    Situation("failed", "Failed", "Accuracy has dropped by more than the rule allows.", _failed),
    Situation("accepted", "Failed and accepted", "The same, and somebody has accepted it with a reason.", _accepted),
    Situation("silent", "Silent", "The merge request does not train a model that the target branch trains.", _silent),
    Situation(
        "red-and-silent",
        "Silent after a failure",
        "The model failed in an earlier pipeline, and is not trained any more.",
        _red_and_silent,
    ),
    Situation("no-baseline", "No baseline", "The target branch has never trained this model.", _no_baseline),
    Situation(
        "imported-baseline",
        "Imported baseline",
        "The target branch has never trained this model, and the contract lets imported runs count.",
        _imported_baseline,
    ),
    Situation(
        "imported-champion",
        "Imported champion",
        "After a move, nobody has said yet whether the champion and the runs from the old server count.",
        _imported_champion,
    ),
    Situation(
        "not-comparable",
        "Not comparable",
        "The contract asks for the baseline's test set, but another one was used.",
        _not_comparable,
    ),
    Situation("one-run", "One run on each side", "Nothing shows how large chance is.", _one_run),
    Situation("fixed-seed", "A fixed seed", "Three runs on each side, all three with the same values.", _fixed_seed),
    Situation("diverged", "Diverged", "One of five trainings ended with NaN.", _diverged),
    Situation("ten-metrics", "Ten metrics without a contract", "Nothing gates; everything is compared.", _ten_metrics),
    Situation("several-models", "Several models", "One is better, one breaks its rule, one is new.", _several_models),
    Situation("twenty-slices", "Twenty slices", "One rule for all slices; one of them is worse.", _twenty_slices),
    Situation(
        "contract-invalid",
        "Invalid contract file",
        "The file on the target branch has a misspelt key.",
        _contract_invalid,
    ),
    Situation(
        "contract-changed",
        "Changed contract file",
        "The merge request relaxes the rule that it breaks.",
        _contract_changed,
    ),
    Situation("amended", "Amended", "Somebody has written to a run after its job had ended.", _amended),
    Situation("fork", "From a fork", "Runs of a fork's pipelines don't count.", _fork),
    Situation(
        "truncated", "Truncated", "Thirty models with eighty metrics each: the comment keeps what matters.", _truncated
    ),
    Situation(
        "fifty-candidates",
        "Fifty candidates",
        "The best of a sweep, and one run per pipeline on the target branch.",
        _fifty_candidates,
    ),
    Situation("cases", "Case by case", "One run on each side: 3 cases of a test set broke and 12 were fixed.", _cases),
    Situation(
        "cases-of-several-runs",
        "Case by case, several runs",
        "Five runs on each side have answered the same cases, so the change itself can be judged.",
        _cases_of_several_runs,
    ),
    Situation(
        "evaluation",
        "Evaluation of a prompt",
        "Another version of a prompt: 12 of 200 cases were fixed and 3 broke.",
        _evaluation,
    ),
    Situation(
        "evaluation-fails",
        "Evaluation that breaks rules",
        "The same, with rules: more cases broke than are allowed, and one answer is not safe.",
        _evaluation_fails,
    ),
    Situation(
        "evaluation-other-judge",
        "Evaluation by another judge",
        "Another model marks the answers than on the target branch, so its marks are not compared.",
        _other_judge,
    ),
    Situation(
        "evaluation-tests",
        "Tests of answers",
        "Tests of `@mlflow.test`: one that must pass has broken.",
        _tests,
    ),
)


def note_of(situation: Situation) -> str:
    return note.body(situation.make(), settings=SETTINGS, project_path=PATH)


def log_of(situation: Situation) -> str:
    """What `mltrail report` prints, from the JSON that the server sends."""
    return command.shown(received(situation))


def received(situation: Situation) -> responses.Report:
    """The report as the job decodes it from the JSON that the server sends."""
    report = situation.make()
    made = PipelineReport(report, "", "posted", f"{GITLAB}/-/merge_requests/7#note_1", None)
    sent = msgspec.json.encode(api.encoded(made, api.Place(SETTINGS, PATH)))
    return responses.report(json.loads(sent))


def pages() -> dict[str, str]:
    """Map each file of the gallery to its text."""
    found = {f"{one.name}.md": _page(one) for one in SITUATIONS}
    return {"README.md": _index(SITUATIONS), **found}


def _page(one: Situation) -> str:
    return (
        f"<!-- Written by scripts/gallery.py. -->\n# {one.title}\n\n{one.story} [All situations](README.md)\n\n"
        f"---\n\n{note_of(one)}\n---\n\nThe log of the `report` job:\n\n```text\n{_short(log_of(one))}\n```\n"
    )


def _short(log: str, most: int = 80) -> str:
    lines = log.splitlines()
    return "\n".join(lines if len(lines) <= most else [*lines[:most], f"… and {len(lines) - most} more lines"])


def _index(situations: Sequence[Situation]) -> str:
    rows = "\n".join(f"| [{one.title}]({one.name}.md) | {one.story} |" for one in situations)
    return (
        "<!-- Written by scripts/gallery.py. -->\n# What a comment looks like\n\n"
        "Each page shows the comment as GitLab renders it, and what `mltrail report` prints in the job's log. The runs "
        "are made up; the words are the product's own. [How to read the "
        "comment](../explanation/reading-the-note.md) explains them.\n\n"
        f"| Situation | What happened |\n|---|---|\n{rows}\n"
    )


def write(found: Iterable[tuple[str, str]]) -> None:
    FOLDER.mkdir(exist_ok=True)
    for name, text in found:
        (FOLDER / name).write_text(text)


if __name__ == "__main__":
    write(pages().items())
