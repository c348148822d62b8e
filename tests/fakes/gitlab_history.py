"""A small history in GitLab's own experiments and registry, with one of each kind."""

from dataclasses import dataclass

from tests.fakes.gitlab.ml_state import STARTED_MS, Experiment, Ml, Model, Run, Version
from tests.team import Team

LONG = 1001
"""Points of the longest history: one more than a page has."""


@dataclass
class Made:
    """`fits` logged a long history and a file in a folder, `bare` nothing, `old` a file as GitLab before 17 did;
    `promoted` is that of version 1.2.3, `tried` a run of the model's experiment, and 1.0.0 has a run of its own.
    """

    ml: Ml
    fits: Run
    bare: Run
    old: Run
    promoted: Run
    tried: Run
    churn: Experiment
    model: Model
    versions: list[Version]

    @property
    def runs(self) -> list[Run]:
        return list(self.ml.runs.values())


def fill(team: Team) -> Made:
    ml, dev = team.project.ml, team.users["developer"].id
    churn = ml.experiment("churn", team="growth")
    fits = ml.run(churn, "fit", user_id=dev, **{"mlflow.source.name": "train.py"})
    fits.params = {"lr": "0.1", "depth": "6"}
    fits.values = [("loss", 1 / (step + 1), STARTED_MS + step, step) for step in range(LONG)]
    fits.values.append(("f1", 0.5, STARTED_MS, 0))
    ml.upload(fits, "plots/roc curve.png", b"png")
    bare = ml.run(churn, "", user_id=9999)
    bare.status, bare.ended_ms, bare.started_ms = "RUNNING", None, 0
    old = ml.run(churn, "old", user_id=dev)
    ml.upload(old, "notes.txt", b"hello", generic=True)
    model = ml.model("churn", user_id=team.users["maintainer"].id, description="Who leaves", owner="growth")
    of_model = ml.experiment_named("[model]churn")
    assert of_model is not None
    promoted = ml.run(of_model, "winner", user_id=dev)
    promoted.values = [("f1", 0.9, STARTED_MS, 0)]
    ml.upload(promoted, "model/MLmodel", b"flavors: {}")
    tried = ml.run(of_model, "tried", user_id=dev)
    ml.upload(tried, "weights.bin", b"\0" * 10)
    first = ml.version(model, "1.0.0", description="The first")
    ml.upload(first.run, "MLmodel", b"flavors: {old: 1}")
    versions = [first, ml.version(model, "1.2.3", of=promoted)]
    ml.model("empty")
    return Made(ml, fits, bare, old, promoted, tried, churn, model, versions)
