"""Everything that a source has, in a shape that can be compared: NaN equals itself, and files are their contents."""

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from mltrail_server.domain.transfer import Source


def everything(source: Source) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for experiment in source.experiments():
        found[f"experiment {experiment.id}"] = asdict(experiment)
        for run in source.runs(experiment):
            found[f"run {run.id}"] = asdict(run)
            found[f"points of {run.id}"] = [point for page in source.points([run]) for point in page]
            found[f"files of {run.id}"] = _contents(source, source.files(run))
        for model in source.logged_models(experiment):
            found[f"logged model {model.id}"] = asdict(model)
            found[f"files of {model.id}"] = _contents(source, source.files(model))
        for trace in source.traces(experiment):
            found[f"trace {trace.id}"] = asdict(trace)
            found[f"spans of {trace.id}"] = source.spans(trace)
            found[f"attachments of {trace.id}"] = _contents(source, source.files(trace))
        for scorer in source.scorers(experiment):
            found[f"scorer {scorer.name} {scorer.version}"] = asdict(scorer)
    for dataset in source.evaluation_datasets():
        found[f"dataset {dataset.id}"] = asdict(dataset)
        found[f"rows of {dataset.id}"] = [asdict(row) for row in source.evaluation_rows(dataset)]
    for registered in source.models():
        found[f"model {registered.name}"] = asdict(registered)
        for version in source.versions(registered):
            found[f"version {registered.name} {version.number}"] = asdict(version)
            found[f"files of {registered.name} {version.number}"] = _contents(source, source.files(version))
    return {key: repr(value) for key, value in found.items()}


def _contents(source: Source, files: Iterable[Any]) -> dict[str, bytes]:
    contents = {}
    for file in files:
        with source.open(file) as stream:
            contents[file.path] = stream.read()
    return contents
