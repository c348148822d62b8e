"""Databases that MLflow has filled."""

import os

import pytest

from tests.processes import one_at_a_time
from tests.sources.filled import Filled, fill


@pytest.fixture(scope="session")
def all_filled(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Filled]:
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "filled"  # for all workers
    with one_at_a_time(folder):
        return fill(folder)


@pytest.fixture(scope="session")
def newest(all_filled: dict[str, Filled]) -> Filled:
    return all_filled["mlflow-3"]
