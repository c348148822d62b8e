"""Which runs are a model's, and whether a merge request touches it."""

import fnmatch
from collections.abc import Collection, Iterable, Sequence

from mltrail_contract import Contract, Model

from .grouping import Run
from .model import model_of_experiment


def model_of(experiment: str) -> str:
    """Name the model of an experiment: GitLab calls a model's own experiment `[model]<name>`."""
    return model_of_experiment(experiment) or experiment


def select(contract: Contract | None, runs: Sequence[Run]) -> dict[str, list[Run]]:
    """Give each of the contract's models its runs, and those that no model claims to the name of their experiment."""
    models = contract.models if contract else {}
    found = {
        name: [run for run in runs if _is_of(run, model, alone=len(models) == 1)] for name, model in models.items()
    }
    claimed = {run.iid for of_model in found.values() for run in of_model}
    for run in runs:
        if run.iid not in claimed:
            name = model_of(run.experiment)
            # The contract says which runs are its model's; an experiment of the same name does not add to them.
            found.setdefault(f"{name} (not selected)" if name in models else name, []).append(run)
    return found


def models_of(contract: Contract | None, experiments: Collection[str]) -> list[Model]:
    """List the contract's models that may have runs in one of these experiments."""
    models = list(contract.models.values()) if contract else []
    return [one for one in models if any(_may_hold(name, one, alone=len(models) == 1) for name in experiments)]


def tags_of(contract: Contract | None) -> set[str]:
    """Name the tags by which a contract selects runs."""
    return {key for model in contract.models.values() for key in model.runs.tags} if contract else set()


def touched(model: Model, changed_paths: Iterable[str] | None) -> bool:
    """Tell whether a change concerns a model: it does where nobody knows what was changed."""
    if not model.paths or changed_paths is None:
        return True
    globs = [_parts(glob) for glob in model.paths]
    return any(_holds(parts, path.split("/")) for path in changed_paths for parts in globs)


def _is_of(run: Run, model: Model, *, alone: bool) -> bool:
    tags = model.runs.tags.items()
    return _may_hold(run.experiment, model, alone=alone) and all(
        key in run.tags and fnmatch.fnmatchcase(run.tags[key], glob) for key, glob in tags
    )


def _may_hold(experiment: str, model: Model, *, alone: bool) -> bool:
    wanted = model.runs
    if wanted.experiment is None:
        # The only model has all runs; beside others each has those of the experiment of its name, or of its tags.
        return alone or bool(wanted.tags) or model_of(experiment) == model.name
    return any(fnmatch.fnmatchcase(name, wanted.experiment) for name in (experiment, model_of(experiment)))


def _parts(glob: str) -> list[str]:
    """Cut a glob over paths into its folders. A bracket is itself."""
    parts = glob.strip("/").replace("[", "[[]").split("/")
    # What lies in a folder is held by the folder already; `**` at the end asks that there is something in it.
    return [*parts[:-1], "*"] if parts[-1] == "**" else parts


def _holds(parts: Sequence[str], path: Sequence[str]) -> bool:
    """Match a path, or a folder above it, folder by folder: `*` stays in a folder, `**` is any number of them.

    One regular expression for the whole would take for ever on a few `**` and a long path.
    """
    places = {0}  # how many folders of the path the glob may have passed
    for part in parts:
        if part == "**":
            places = set(range(min(places), len(path) + 1))
        else:
            places = {place + 1 for place in places if place < len(path) and fnmatch.fnmatchcase(path[place], part)}
        if not places:
            return False
    return True
