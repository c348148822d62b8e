"""Where experiments, runs and models lie: each command of the tool has a layout of its own."""

from pathlib import Path

from . import names


def experiments(root: Path) -> list[Path]:
    """Return the folders of experiments: of `export-all`, `export-experiments` or `export-experiment`."""
    if (root / names.EXPERIMENT).exists():
        return [root]
    for place in (root / "experiments", root):
        if found := [one for one in inside(place) if (one / names.EXPERIMENT).exists()]:
            return found
    return []


def models(root: Path) -> list[Path]:
    """Return the folders of models: of `export-all`, `export-models` or `export-model`."""
    if (root / names.MODEL).exists():
        return [root]
    for place in (root / "models", root):
        if found := [one for one in inside(place) if (one / names.MODEL).exists()]:
            return found
    return []


def runs(experiment: Path) -> list[Path]:
    """Return the folders of the runs of an experiment, which lie in it, or in `runs` in it."""
    found = [one for one in (*inside(experiment), *inside(experiment / "runs")) if (one / names.RUN).exists()]
    return sorted(found, key=lambda one: one.name)


def loose_runs(root: Path) -> list[tuple[Path, Path | None]]:
    """Return the runs outside experiments, each with the folder of the model that it lies in, or None."""
    if (root / names.RUN).exists():
        return [(root, None)]
    if experiments(root):
        return []
    return [(run, model) for model in models(root) for run in runs(model)]


def inside(folder: Path) -> list[Path]:
    """Return the folders in a folder by name, without symbolic links: an export has none."""
    if not folder.is_dir():
        return []
    return sorted(one for one in folder.iterdir() if one.is_dir() and not one.is_symlink())
