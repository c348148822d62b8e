"""A target branch and a merge request whose jobs evaluate, and the contract file that they do it under."""

from typing import Any

from tests.api.review.evaluated import USUAL, Evaluated, How, Said, evaluate
from tests.api.review.merge_requests import a_main, a_request
from tests.api.trail import SHAS, Trail
from tests.fakes.gitlab import Pipeline

GOLDEN = "{evaluation: golden}"
BROKE = "{cases: golden-set, broke_at_most: 2}"


def a_contract(*rules: str, cases: str = GOLDEN, **keys: str) -> str:
    lines = ["version: 1", "models:", "  answers:", *(f"    {name}: {value}" for name, value in keys.items())]
    lines += ["    cases:", f"      golden-set: {cases}"]
    return "\n".join([*lines, *(["    rules:"] if rules else []), *(f"      - {rule}" for rule in rules)]) + "\n"


class Sides:
    """A target branch and a merge request whose jobs evaluate."""

    def __init__(self, trail: Trail, text: str = "") -> None:
        self.trail = trail
        self.main = a_main(trail, SHAS["b"], text or a_contract(BROKE), [])
        self.before: Evaluated | None = None
        self.now: Evaluated | None = None
        self._pipeline: Pipeline | None = None

    @property
    def pipeline(self) -> Pipeline:
        if self._pipeline is None:
            self.request, self._pipeline = a_request(self.trail, [])
        return self._pipeline

    def evaluate(self, before: Said | None, now: Said | None, here: How = USUAL, there: How = USUAL) -> Any:
        if before is not None:
            self.before = evaluate(self.trail, self.main, before, there)
        if now is not None:
            self.now = evaluate(self.trail, self.pipeline, now, here)
        return self.model()

    def model(self) -> Any:
        (model,) = [one for one in self.trail.report(self.pipeline)["models"] if one["name"] == "answers"]
        return model

    def rule(self) -> tuple[str, bool, str]:
        (rule,) = self.model()["rules"]
        return rule["outcome"], rule["known"], rule["sentence"]
