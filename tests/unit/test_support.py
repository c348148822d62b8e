"""docs/reference/support.md claims what the tests run, and no more."""

import re
import tomllib

import yaml

from tests.places import ROOT

PAGE = (ROOT / "docs/reference/support.md").read_text()


def row(name: str) -> tuple[str, str]:
    """What is tested, and what is expected."""
    (line,) = (line for line in PAGE.splitlines() if line.startswith(f"| {name} |"))
    _, tested, expected = [cell.strip() for cell in line.strip("|").split(" | ")]
    return tested, expected


def test_each_client_that_we_test_is_named_and_no_other() -> None:
    pinned = set()
    for lock in (ROOT / "requirements/clients").glob("*.txt"):
        pinned |= set(re.findall(r"^mlflow(?:-skinny)?==(\d+\.\d+)", lock.read_text(), re.MULTILINE))
    assert set(re.findall(r"\d+\.\d+", row("**MLflow clients** in Python")[0])) == pinned


def test_the_packages_metadata_names_the_pythons_of_the_matrix() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    classified = {one.rpartition(" ")[2] for one in project["classifiers"] if re.search(r"Python :: 3\.\d+$", one)}
    tested, expected = row("**Python**")
    assert classified <= set(re.findall(r"3\.\d+", f"{tested} {expected}"))
    assert project["requires-python"] == ">=" + min(re.findall(r"3\.\d+", tested), key=lambda one: int(one[2:]))


def test_kubernetes_begins_where_the_chart_does() -> None:
    chart = yaml.safe_load((ROOT / "deploy/helm/mltrail/Chart.yaml").read_text())
    lowest = re.search(r">=(\d+\.\d+)", chart["kubeVersion"])
    assert lowest
    assert lowest[1] in row("**Kubernetes**")[0]
