"""What a report says of imported runs, whether or not they count."""

import pytest

from mltrail_server.domain.origins import Origin
from mltrail_server.services.review import summary
from mltrail_server.services.review.imported_baselines import ImportedBaseline
from tests.reports import Sides, a_report, a_run

ORIGIN = Origin(1, "mlflow", "https://mlflow.example.com", "MLflow 2.22.1", 1_795_910_400_000, 1_796_169_600_000)
WHERE = "imported from MLflow 2.22.1 at https://mlflow.example.com between 2026-11-29 and 2026-12-02"
CONTRACT = """
version: 1
models:
  churn: {rules: [{metric: val_accuracy, better: higher, worse_by: 0.01}]}
  price: {}
"""
HERE = [a_run(1, {"val_accuracy": 0.9})]


def lines(sides: dict[str, Sides]) -> dict[str, list[str]]:
    """What is said, by label: of all models together."""
    report = a_report(sides, CONTRACT)
    said = [*summary.of_report(report, summary.PLAIN).lines]
    if len(report.models) > 1:
        said += [line for model in report.models for line in summary.of_model(report, model, summary.PLAIN)]
    found: dict[str, list[str]] = {}
    for line in said:
        found.setdefault(line.label, []).append(line.text)
    return found


@pytest.mark.parametrize(
    ("unused", "says", "them"),
    [
        (ImportedBaseline(ORIGIN, 1), "1 imported run is not used", "with it until"),
        (ImportedBaseline(ORIGIN, 12), "12 imported runs are not used", "with them until"),
        (ImportedBaseline(ORIGIN, 1000, cut=True), "at least 1,000 imported runs are not used", "with them until"),
    ],
)
def test_what_is_not_used_is_counted(unused: ImportedBaseline, says: str, them: str) -> None:
    (line,) = lines({"churn": Sides(HERE, unused=unused)})["Baseline"]
    assert line.startswith(f"{says}: {WHERE}, and not verified. To compare {them}")


def test_each_of_several_models_says_it_for_itself() -> None:
    found = lines({"churn": Sides(HERE, HERE, imported=ORIGIN), "price": Sides(HERE, HERE)})
    assert [line.partition(", and")[0] for line in found["Baseline"]] == [WHERE]
    assert "1 imported run, 1 here" in found["How sure"][0]


def test_a_model_that_is_not_trained_here_is_silent_about_an_imported_baseline() -> None:
    found = lines({"churn": Sides([], HERE, imported=ORIGIN)})
    assert found["Why"] == [
        "it has an imported baseline, but no pipeline of this commit has logged a run of it that succeeded."
    ]
