"""Databases that MLflow has filled."""

import pytest

from tests.sources.filled import Filled, fill


@pytest.fixture(scope="session")
def all_filled(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Filled]:
    return fill(tmp_path_factory.mktemp("filled"))


@pytest.fixture(scope="session")
def newest(all_filled: dict[str, Filled]) -> Filled:
    return all_filled["mlflow-3"]
