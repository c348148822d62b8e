"""Import a history: experiments with all that is in them, evaluation datasets, then models with their versions."""

import json
from collections.abc import Iterable, Sequence
from contextlib import ExitStack

from mltrail_server.domain import globs
from mltrail_server.domain.errors import invalid
from mltrail_server.domain.transfer import Entity, EvaluationDatasetRecord, ExperimentRecord, Findings, Loss, Source
from mltrail_server.services.context.deps import Deps
from mltrail_server.store.imports import alone, origins

from . import evaluations, experiments, logged_models, models, runs, traces
from .plan import FilesMode, Plan
from .progress import Progress
from .report import ProjectReport, Report
from .sound import Sound
from .target import Target, open_target


def bring(
    deps: Deps, source: Source, plans: Sequence[Plan], findings: Findings, progress: Progress, *, dry_run: bool = False
) -> Report:
    """Import from a source what the plans select, and report. Each experiment and model goes into the first project
    whose plan takes it. The source's records are made sound first, see `sound.py`.

    If it is killed at any point, the next call resumes where it was. Raises `MltrailError` when the source or this
    server fails as a whole; what was imported by then stays. Raises CONFLICT while another import into one of the
    projects is running.
    """
    with ExitStack() as locks:
        for project_id in sorted({plan.project_id for plan in plans}) if not dry_run else ():
            locks.enter_context(alone.alone(deps.db, project_id))
        return _bring(deps, Sound(source, findings), plans, findings, progress, dry_run=dry_run)


def _bring(
    deps: Deps, source: Source, plans: Sequence[Plan], findings: Findings, progress: Progress, *, dry_run: bool
) -> Report:
    description = source.describe()
    report = Report(source.kind, source.address, description, findings, dry_run)
    progress.totals = source.totals()
    chosen = _Chosen(source, plans, findings)
    chosen.say_what_matches_nothing()
    for plan in plans:
        target = open_target(deps, plan, source, findings, progress, description=description, dry_run=dry_run)
        if plan.files is FilesMode.LEAVE:
            findings.add(Loss.NOTE, Entity.FILE, f"project {plan.path}", "files are left out, as requested")
        _bring_project(target, chosen, plan)
        _say_what_is_not_tied(target)
        target.tally.end()
        report.projects.append(
            ProjectReport(plan.project_id, plan.path, target.tally.source, target.tally.here, target.tally.more)
        )
        report.seconds, report.skipped = progress.seconds, progress.skipped
        if not dry_run:
            with target.project.write() as tx:
                origins.end(tx, target.origin_id, report=json.dumps(report.as_json()))
    return report


def _say_what_is_not_tied(target: Target) -> None:
    count = target.claims.unanswered
    if count:
        text = "not all of the GitLab jobs that they name were looked up, so these runs are shown without a job"
        target.findings.add(Loss.NOTE, Entity.RUN, f"{count:,} runs of {target.plan.path}", text, count=count)


def _bring_project(target: Target, chosen: "_Chosen", plan: Plan) -> None:
    for experiment in chosen.experiments[id(plan)]:
        iid = experiments.bring(target, experiment)
        runs.bring(target, experiment, iid)
        logged_models.bring(target, experiment, iid)
        traces.bring(target, experiment, iid)
        evaluations.bring_scorers(target, experiment, iid)
        if iid is not None:
            experiments.end(target, experiment, iid)
    for dataset in chosen.datasets_of(plan):
        evaluations.bring_dataset(target, dataset)
    for model in target.source.models():
        if chosen.plan_of_model(model.name) is plan:
            models.bring(target, model)


class _Chosen:
    """Which plan takes which experiment or model."""

    def __init__(self, source: Source, plans: Sequence[Plan], findings: Findings) -> None:
        self._source, self._plans, self._findings = source, plans, findings
        self._names: dict[Entity, list[str]] = {Entity.EXPERIMENT: [], Entity.MODEL: []}
        self.experiments: dict[int, list[ExperimentRecord]] = {id(plan): [] for plan in plans}
        for experiment in source.experiments():
            self._names[Entity.EXPERIMENT].append(experiment.name)
            taker = next((plan for plan in plans if plan.takes_experiment(experiment.name)), None)
            if taker is not None:
                self.experiments[id(taker)].append(experiment)
            elif len(plans) > 1:
                text = "no project in the map matches it"
                findings.add(Loss.NOTE, Entity.EXPERIMENT, f"experiment {experiment.name}", text)

    def say_what_matches_nothing(self) -> None:
        """Note globs and renames without an effect: they may be misspelled. Raises INVALID if nothing at all was
        chosen.
        """
        chosen = False
        if any(plan.models or plan.renames.models for plan in self._plans):
            self._names[Entity.MODEL] = [model.name for model in self._source.models()]
        for plan in self._plans:
            experiments, models = self._names[Entity.EXPERIMENT], self._names[Entity.MODEL]
            self._say(plan, Entity.EXPERIMENT, experiments, plan.experiments, plan.renames.experiments)
            self._say(plan, Entity.MODEL, models, plan.models, plan.renames.models)
            everything = not plan.experiments and not plan.models
            chosen = chosen or everything or any(map(plan.takes_experiment, experiments))
            chosen = chosen or any(map(plan.takes_model, models))
        if not chosen:
            there = ", ".join(map(repr, [*experiments[:10], *models[:10]])) or "neither experiments nor models"
            raise invalid(f"Nothing at the source matches what you want to import. It has {there}.")

    def _say(self, plan: Plan, entity: Entity, names: list[str], wanted: Sequence[str], renamed: Iterable[str]) -> None:
        for glob in wanted:
            if not globs.matching(names, glob):
                self._findings.add(Loss.NOTE, entity, f"project {plan.path}", f"nothing at the source matches {glob!r}")
        for name in renamed:
            if name not in names:
                text = f"nothing at the source is called {name!r}, so it is not renamed"
                self._findings.add(Loss.NOTE, entity, f"project {plan.path}", text)

    def plan_of_model(self, name: str) -> Plan | None:
        return next((plan for plan in self._plans if plan.takes_model(name)), None)

    def datasets_of(self, plan: Plan) -> Sequence[EvaluationDatasetRecord]:
        """List the evaluation datasets of a plan's experiments. Those without an experiment go with the first plan."""
        ids = {experiment.id for experiment in self.experiments[id(plan)]}
        rest = plan is self._plans[0] and not plan.experiments and not plan.only_models
        return [
            one
            for one in self._source.evaluation_datasets()
            if ids.intersection(one.experiment_ids) or (not one.experiment_ids and rest)
        ]
