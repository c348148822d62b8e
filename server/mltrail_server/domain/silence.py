"""A merge request that does not train a model shows nothing about it, and that is not a pass."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from enum import StrEnum

from mltrail_contract import Model, Outcome, Then

from .rules import applies, worst


class SilenceKind(StrEnum):
    BUSY = "its job still runs"
    RED = "failed before"
    WAITING = "waits for a manual job"
    MOVED = "logged elsewhere"
    SILENT = "not trained here"


@dataclass(frozen=True, slots=True)
class Silence:
    """A merge request's commit has no succeeded run of a model. `outcome` is None if that is all right. `sentence`
    contains nothing that a user wrote. `rules` are those that are evaded, as overrides name them; `busy` are the
    pipelines in which a job that trains the model is still running.
    """

    kind: SilenceKind
    outcome: Outcome | None
    sentence: str
    rules: frozenset[str] = frozenset()
    busy: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What is known about a model without a succeeded run.

    `red`: the rules that it has broken before in this merge request. `manual`: a job that trains it is waiting to be
    started. `moved`: such a job has logged to an unknown experiment. `meant`: it should have been trained here, since
    the merge request changes its paths or has logged other runs. `deleted`: a job has deleted what it had logged.
    `cut`: there are more runs than were read.
    """

    red: frozenset[str] = frozenset()
    manual: bool = False
    moved: bool = False
    meant: bool = False
    deleted: bool = False
    cut: bool = False


def of(model: Model, target: str, seen: Circumstances) -> Silence:
    """Judge that a model which the target branch has trained was not trained for a merge request."""
    if seen.red:
        sentence = "it failed in this merge request before, and is not trained here"
        if seen.manual:
            sentence += " until its manual job is started"
        return Silence(SilenceKind.RED, Outcome.FAIL, f"{sentence}; train it, or have somebody accept it", seen.red)
    if seen.manual:
        return Silence(SilenceKind.WAITING, None, "not trained here yet: its manual job is waiting to be started")
    if seen.moved:
        sentence = (
            "not trained here: its job has logged runs that no model claims, to another experiment or without its tag; "
            "log as before, or change the contract on the target branch first"
        )
        return Silence(SilenceKind.MOVED, _evaded(model, target), sentence)
    if seen.deleted:
        sentence = "not trained here: its job has deleted the runs that it had logged, which still count; keep them"
        return Silence(SilenceKind.MOVED, _evaded(model, target), sentence)
    if seen.cut:
        sentence = "not found among the runs that were read: this commit's pipelines have logged too many; log fewer"
        return Silence(SilenceKind.MOVED, _evaded(model, target), sentence)
    return Silence(SilenceKind.SILENT, _if_silent(model, meant=seen.meant), "not trained here")


def still_busy(pipelines: Iterable[int]) -> Silence:
    """Return that it is too early to judge."""
    return Silence(SilenceKind.BUSY, None, "not trained yet: its job is still running", busy=frozenset(pipelines))


def _if_silent(model: Model, *, meant: bool) -> Outcome:
    if model.if_silent_is_set or not meant:
        return model.if_silent
    return worst([model.if_silent, model.if_unknown])


def _evaded(model: Model, target: str) -> Outcome:
    """Return what breaking the strictest of a model's rules leads to."""
    fails = any(rule.then is Then.FAIL for rule in (*model.rules, *model.case_rules) if applies(rule, target))
    return Outcome.FAIL if fails else worst([Outcome.WARN, model.if_silent])


def counts(model: Model, target: str) -> bool:
    """Whether a model's absence matters: it has rules for this branch, or the contract file says that silence fails."""
    if model.retired:
        return False
    rules = (*model.rules, *model.case_rules)
    return model.if_silent is Outcome.FAIL or any(applies(rule, target) for rule in rules)


def moved(
    trained_by: Collection[str],
    strangers: Collection[tuple[str, str]],
    known: Collection[str],
    *,
    own: Collection[str],
) -> bool:
    """Whether a job that has trained a model before has now logged runs that don't count for it: to an experiment that
    the target branch does not know, or to the model's own.

    `strangers` are the jobs and experiments of runs that no model claims, `known` are the experiments of the target
    branch.
    """
    return any(job in trained_by and (experiment not in known or experiment in own) for job, experiment in strangers)
