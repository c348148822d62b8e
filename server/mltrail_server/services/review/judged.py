"""What one version of the contract says about a pipeline, and about each of its models."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime

from mltrail_contract import Model, Outcome
from mltrail_server.domain import rules
from mltrail_server.domain.cases.evaluation import EvaluationResult
from mltrail_server.domain.cases.result import CaseResult
from mltrail_server.domain.comparison import Comparison, ParameterChange
from mltrail_server.domain.conclusion import Conclusion
from mltrail_server.domain.grouping import Gone, Run
from mltrail_server.domain.origins import Origin
from mltrail_server.domain.prompts import PromptChange
from mltrail_server.domain.rules import Ruling
from mltrail_server.domain.selection import UnmatchedModel
from mltrail_server.domain.silence import Silence
from mltrail_server.services.contract.contracts import ContractVersion
from mltrail_server.store.ci.pipelines import Pipeline
from mltrail_server.store.registry.versions import Version

from .imported_baselines import ImportedBaseline

IMPORTED = "imported"
"""What a baseline of imported runs is called."""

_NOT_IN_A_LOGIN = re.compile(r"[^\w. -]", re.ASCII)


@dataclass(frozen=True, slots=True)
class ModelReport:
    """One model: all runs of the pipeline, and the best of them compared with the baseline's best.

    `model` is its part of the contract, None if the contract does not mention it. `touched` is False if the merge
    request changes nothing of the model, so that its rules don't apply. `version` is the baseline if the contract names
    one. `history` are the target branch's pipelines before the baseline, newest first. `environment` lists packages
    whose versions differ. `made_by` is the pipeline whose runs these are. `silence` says what it means that no run has
    succeeded; `gone` says who has removed the baseline for good. `carried`: it is from an earlier commit. `cases` are
    its tables, those of evaluations' scorers included, and `evaluations` what is known of each evaluation. `prompts`
    are those that the named runs of both sides have loaded. `imported` is where the baseline's runs were imported from,
    so that nothing here has verified them; `unused` are imported runs that the contract does not let count.
    """

    name: str
    runs: tuple[Run, ...]
    comparison: Comparison
    baseline: Pipeline | None
    conclusion: Conclusion
    model: Model | None = None
    touched: bool = True
    rulings: tuple[Ruling, ...] = ()
    outcome: Outcome | None = None
    version: Version | None = None
    history: tuple[Pipeline, ...] = ()
    environment: tuple[ParameterChange, ...] = ()
    gone: Gone | None = None
    made_by: Pipeline | None = None
    silence: Silence | None = None
    cases: tuple[CaseResult, ...] = ()
    evaluations: tuple[EvaluationResult, ...] = ()
    carried: bool = False
    prompts: tuple[PromptChange, ...] = ()
    imported: Origin | None = None
    unused: ImportedBaseline | None = None

    def against(self, target: str) -> str:
        """Name the side that it is compared with: a version, imported runs, or else the target branch."""
        if self.version is not None:
            return self.version.semver
        return IMPORTED if self.imported is not None else target

    @property
    def remarks(self) -> tuple[str, ...]:
        """Sentences for a reviewer that no verdict rests on, without anything that a user wrote."""
        if not self.carried or self.made_by is None:
            return self.comparison.remarks
        where = "under its paths " if self.model is not None and self.model.paths else ""
        sentence = f"Carried forward from pipeline {self.made_by.id}: nothing {where}has changed since"
        return (sentence, *self.comparison.remarks)

    @property
    def logs_data(self) -> bool:
        """Whether runs on both sides say which data they used."""
        sides = (self.comparison.best, self.comparison.baseline)
        return all(side is not None and any(run.datasets for run in side.runs) for side in sides)

    @property
    def failures(self) -> frozenset[str]:
        """Name what fails, each in a form that stays the same from pipeline to pipeline."""
        if self.silence is not None and self.silence.outcome is Outcome.FAIL:
            return self.silence.rules or frozenset({f"{self.name}: not trained here"})
        return frozenset(rules.name_of(self.name, ruling) for ruling in self.rulings if ruling.outcome is Outcome.FAIL)


@dataclass(frozen=True, slots=True)
class Judged:
    """What one version of the contract says. `outcome` is None if there is no gate; `sentence` contains nothing that a
    user wrote. `questions` ask which model the runs that no model claims belong to.
    """

    contract: ContractVersion
    outcome: Outcome | None
    sentence: str
    models: tuple[ModelReport, ...]
    questions: tuple[UnmatchedModel, ...] = ()


def gone_sentence(gone: Gone) -> str:
    """Say who has removed the baseline. Only characters that GitLab allows in a login are shown, so that nothing breaks
    out of the note.
    """
    day = datetime.fromtimestamp(gone.removed_ms / 1000, UTC).date().isoformat()
    return f"the baseline was removed by {_NOT_IN_A_LOGIN.sub('', gone.removed_by)[:100] or 'somebody'} on {day}"
