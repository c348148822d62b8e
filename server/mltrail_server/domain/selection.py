"""Which runs belong to a model, and whether a merge request touches it."""

import fnmatch
import json
import re
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass

from mltrail_contract import FILE_NAME, Contract, Model, Runs

from .grouping import Run
from .model import model_of_experiment

UNNAMED = "Default"
"""The experiment of runs that were logged without naming one.
https://mlflow.org/docs/latest/ml/tracking/#experiments
"""

_MOST_NAMED = 3
_PLAIN = re.compile(r"[A-Za-z][\w./@-]*")


def as_text(text: str) -> str:
    """Write text so that YAML reads it back unchanged, also within brackets."""
    return text if _PLAIN.fullmatch(text) else json.dumps(text, ensure_ascii=False)


def model_of(experiment: str) -> str:
    """Return the model of an experiment: GitLab calls a model's own experiment `[model]<name>`."""
    return model_of_experiment(experiment) or experiment


def select(contract: Contract | None, runs: Sequence[Run]) -> dict[str, list[Run]]:
    """Map each of the contract's models to its runs, and other runs to the name of their experiment."""
    models = contract.models if contract else {}
    unnamed = _has_unnamed(contract, {run.experiment for run in runs})
    found = {name: [run for run in runs if unnamed or _is_of(run, model)] for name, model in models.items()}
    claimed = {run.iid for of_model in found.values() for run in of_model}
    for run in runs:
        if run.iid not in claimed:
            name = model_of(run.experiment)
            # The contract says which runs belong to its model; an experiment of the same name adds none.
            found.setdefault(f"{name} (not selected)" if name in models else name, []).append(run)
    return found


@dataclass(frozen=True, slots=True)
class UnmatchedModel:
    """A model of the contract without runs, while there are runs in experiments that belong to no model."""

    model: str
    experiments: tuple[str, ...]

    def sentence(self, quoted: Callable[[str], str]) -> str:
        """Ask whether the runs belong to the model. `quoted` makes safe what a user wrote."""
        more = f" and {len(self.experiments) - _MOST_NAMED} more" if len(self.experiments) > _MOST_NAMED else ""
        names = ", ".join(map(quoted, self.experiments[:_MOST_NAMED])) + more
        which = "this experiment belongs" if len(self.experiments) == 1 else "these experiments belong"
        other = "name it as a model too" if len(self.experiments) == 1 else "name them as models too"
        line = quoted(f"runs: {{experiment: {as_text(self.experiments[0])}}}")
        below = quoted(f"models: {as_text(self.model)}:")
        return (
            f"No run here is known to belong to {quoted(self.model)}, and {which} to no model of the contract file: "
            f"{names}. If its runs are in there, write {line} below {below} in {quoted(FILE_NAME)}; if not, {other}"
        )


def unmatched_models(
    contract: Contract | None, runs: Sequence[Run], changed_paths: Iterable[str] | None
) -> list[UnmatchedModel]:
    """List each model that a change touches and that has no runs. Runs don't belong to a model just by being the only
    ones.
    """
    if contract is None or not runs:
        return []
    selected = select(contract, runs)
    claimed = {run.iid for name in contract.models for run in selected.get(name, ())}
    others = tuple(sorted({run.experiment for run in runs if run.iid not in claimed}))
    changed = None if changed_paths is None else list(changed_paths)
    missing = [one for one in contract.models.values() if not selected[one.name] and touched(one, changed)]
    return [UnmatchedModel(one.name, others) for one in missing if others]


def models_of(contract: Contract | None, experiments: Collection[str]) -> list[Model]:
    """List the contract's models that can have runs in one of these experiments."""
    models = contract.models.values() if contract else ()
    unnamed = _has_unnamed(contract, set(experiments))
    return [one for one in models if unnamed or any(_may_hold(name, one) for name in experiments)]


def may_be_of(contract: Contract | None, name: str, experiment: str) -> bool:
    """Whether runs of an experiment can belong to the model of this name."""
    model = contract.models.get(name) if contract else None
    if model is None:
        return model_of(experiment) == name
    return _may_hold(experiment, model) or _has_unnamed(contract, {experiment})


def tags_of(contract: Contract | None) -> set[str]:
    """Return the keys of the tags by which a contract selects runs."""
    return {key for model in contract.models.values() for key in model.runs.tags} if contract else set()


def touched(model: Model, changed_paths: Iterable[str] | None) -> bool:
    """Whether a change touches a model; it does when the changed files are not known."""
    if not model.paths or changed_paths is None:
        return True
    globs = [_parts(glob) for glob in model.paths]
    return any(_holds(parts, path.split("/")) for path in changed_paths for parts in globs)


def _has_unnamed(contract: Contract | None, experiments: set[str]) -> bool:
    """Whether all runs are in MLflow's `Default` experiment, and the contract has one model and says nothing about its
    runs: then they belong to that model.
    """
    models = list(contract.models.values()) if contract else []
    return len(models) == 1 and models[0].runs == Runs() and experiments == {UNNAMED}


def _is_of(run: Run, model: Model) -> bool:
    tags = model.runs.tags.items()
    return _may_hold(run.experiment, model) and all(
        key in run.tags and fnmatch.fnmatchcase(run.tags[key], glob) for key, glob in tags
    )


def _may_hold(experiment: str, model: Model) -> bool:
    wanted = model.runs
    if wanted.experiment is None:
        # The experiment of its name, or any with its tags: that it is the only model says nothing about a run.
        return bool(wanted.tags) or model_of(experiment) == model.name
    return any(fnmatch.fnmatchcase(name, wanted.experiment) for name in (experiment, model_of(experiment)))


def _parts(glob: str) -> list[str]:
    """Split a glob for paths into folders. A bracket matches itself."""
    parts = glob.strip("/").replace("[", "[[]").split("/")
    # A glob that matches a folder matches all that is in it; `**` at the end requires that there is something in it.
    return [*parts[:-1], "*"] if parts[-1] == "**" else parts


def _holds(parts: Sequence[str], path: Sequence[str]) -> bool:
    """Match a path, or a folder above it, folder by folder: `*` stays within a folder, `**` matches any number of them.

    A single regular expression would take for ever for a few `**` and a long path.
    """
    places = {0}  # how many folders of the path may have been matched so far
    for part in parts:
        if part == "**":
            places = set(range(min(places), len(path) + 1))
        else:
            places = {place + 1 for place in places if place < len(path) and fnmatch.fnmatchcase(path[place], part)}
        if not places:
            return False
    return True
