"""The map of an import: the example of docs/reference/import-map.md, and mistakes with their lines."""

import re
from pathlib import Path

import pytest

from mltrail_server.domain.errors import MltrailError
from mltrail_server.services.imports import map_file
from mltrail_server.services.imports.map_file import Kind, read
from mltrail_server.services.imports.plan import FilesMode

PAGE = (Path(__file__).parents[2] / "docs/reference/import-map.md").read_text()
SOURCE = "source: {mlflow: https://mlflow.example.com}\n"
PROJECTS = "projects: [{project: 7}]\n"


def test_the_example_is_read() -> None:
    (example,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)

    found = read(example, "map.yml")

    assert (found.source.kind, found.source.address) == (Kind.MLFLOW, "https://mlflow.example.com")
    assert found.source.artifacts == ("s3://old-bucket/mlflow",)
    assert found.users == {"ada@example.com": "ada"}
    first, second = found.parts
    assert (first.project, first.experiments, first.files) == ("team-a/churn", ("churn*", "retention"), FilesMode.COPY)
    assert first.renames.models == {"churn": "churn-old"}
    assert (second.project, second.files) == ("4711", FilesMode.IN_PLACE)


@pytest.mark.parametrize("key", [*map_file.SOURCE, *map_file.PROJECT, *map_file.RENAME])
def test_the_page_explains_each_key(key: str) -> None:
    assert f"`{key}`" in PAGE


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "map.yml is empty."),
        (SOURCE, "map.yml, line 1: projects: is missing"),
        (SOURCE + "projects: []\n", "map.yml, line 2: projects: expected at least one project"),
        (SOURCE + "project: 7\n" + PROJECTS, "map.yml, line 2: project: unknown key"),
        (SOURCE + "projects:\n- experiments: [a]\n", "map.yml, line 3: projects[0]: expected project"),
        (SOURCE + "files: move\n" + PROJECTS, "map.yml, line 2: files: expected one of copy, in-place, leave"),
        ("source: {}\n" + PROJECTS, "map.yml, line 1: source: expected exactly one of mlflow"),
        ("source: {gitlab: https://gitlab.com}\n" + PROJECTS, "must be used together"),
        ("source: {mlflow: 'https://ada:hunter2@mlflow'}\n" + PROJECTS, "leave the password out"),
        ("source: [\n", "map.yml, line 2: this is not YAML"),
    ],
    ids=["empty", "no_projects", "none", "unknown", "unnamed", "choice", "no_source", "gitlab", "password", "no_yaml"],
)
def test_mistakes(text: str, message: str) -> None:
    with pytest.raises(MltrailError) as raised:
        read(text, "map.yml")

    assert message in raised.value.message
    assert "hunter2" not in raised.value.message
