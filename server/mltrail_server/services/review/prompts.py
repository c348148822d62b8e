"""Which prompts the runs of a model and of its baseline have loaded, and what has changed in them."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from mltrail_server.domain import prompts
from mltrail_server.domain.comparison import NO_CONTRACT
from mltrail_server.domain.direction import direction_of
from mltrail_server.domain.grouping import Run, representative
from mltrail_server.domain.prompts import Linked, Prompt, PromptChange
from mltrail_server.services.context import links
from mltrail_server.services.context.deps import Ci
from mltrail_server.settings import Settings
from mltrail_server.store.db.transaction import Transaction
from mltrail_server.store.registry import versions

from .judged import ModelReport
from .reports import Report

_MOST = 50
"""At most this many versions of prompts are read for a report."""


def with_prompts(ci: Ci, report: Report) -> Report:
    """Add to a report that is ready which prompts its models have loaded. One statement, and none if they have loaded
    no others than their baselines.
    """
    linked = {model.name: sides for model in report.models if (sides := _linked(model)) is not None}
    changed = [one for before, now in linked.values() for one in sorted({*before} ^ {*now})]
    texts: dict[Linked, Prompt] = {}
    if changed:
        with ci.project.read() as tx:
            texts = _texts(tx, changed[:_MOST])
    models = [_with(model, linked, texts) for model in report.models]
    return replace(report, models=tuple(models))


def prompt_url(settings: Settings, project_path: str, one: PromptChange) -> str:
    """Return the address of a prompt; of what differs, where each side has loaded another version."""
    differs = len(one.old) == len(one.new) == 1 and not one.is_same_version
    old, new = (str(one.old[0]), str(one.new[0])) if differs else (None, None)
    return links.prompt(settings, project_path, one.name, old=old, new=new)


def _with(
    model: ModelReport, linked: Mapping[str, tuple[list[Linked], list[Linked]]], texts: Mapping[Linked, Prompt]
) -> ModelReport:
    sides = linked.get(model.name)
    return model if sides is None else replace(model, prompts=prompts.changes(*sides, texts))


def _linked(model: ModelReport) -> tuple[list[Linked], list[Linked]] | None:
    """Return what the named run of each side has loaded; None if one side has no run, or neither has loaded any."""
    compared = model.comparison
    if compared.baseline is None or compared.best_run is None:
        return None
    direction = direction_of(compared.rank_by or "", model.model or NO_CONTRACT)
    before = _of(representative(compared.baseline, compared.rank_by, direction))
    now = _of(compared.best_run)
    return (before, now) if before or now else None


def _of(run: Run) -> list[Linked]:
    return prompts.linked(run.tags.get(prompts.LINKED_TAG))


def _texts(tx: Transaction, wanted: Iterable[Linked]) -> dict[Linked, Prompt]:
    found = versions.tags_of_names(tx, wanted, prompts.TAGS)
    return {
        Linked(name, number): prompts.prompt_of(tags)
        for (name, number), tags in found.items()
        if prompts.TEXT_TAG in tags
    }
