"""Which runs are a model's, and whether a merge request touches it."""

import fnmatch
import re
from collections.abc import Iterable, Sequence

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
            found.setdefault(model_of(run.experiment), []).append(run)
    return found


def tags_of(contract: Contract | None) -> set[str]:
    """Name the tags by which a contract selects runs."""
    return {key for model in contract.models.values() for key in model.runs.tags} if contract else set()


def touched(model: Model, changed_paths: Iterable[str] | None) -> bool:
    """Tell whether a change concerns a model: it does where nobody knows what was changed."""
    if not model.paths or changed_paths is None:
        return True
    patterns = [_pattern(path) for path in model.paths]
    return any(pattern.fullmatch(path) for path in changed_paths for pattern in patterns)


def _is_of(run: Run, model: Model, *, alone: bool) -> bool:
    wanted = model.runs
    if wanted.experiment is None and not wanted.tags:
        # The only model has all runs; beside others each has those of the experiment of its name.
        return alone or model_of(run.experiment) == model.name
    names = (run.experiment, model_of(run.experiment))
    if wanted.experiment is not None and not any(fnmatch.fnmatchcase(name, wanted.experiment) for name in names):
        return False
    return all(key in run.tags and fnmatch.fnmatchcase(run.tags[key], glob) for key, glob in wanted.tags.items())


def _pattern(glob: str) -> re.Pattern[str]:
    """Read a glob over paths: `*` stays in a folder, `**` does not; a folder stands for all that is in it."""
    parts = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    glob = glob.strip("/")
    text = "".join(parts.get(part) or re.escape(part) for part in re.split(r"(\*\*/|\*\*|\*|\?)", glob))
    return re.compile(f"{text}(?:/.*)?")
