"""Where a dataset lies, as MLflow's clients log it."""

import pytest

from mltrail_server.domain.dataset_source import readable


@pytest.mark.parametrize(
    ("kind", "source", "expected"),
    [
        ("code", '{"tags": {"mlflow.user": "root", "mlflow.source.name": "train.py"}}', "code: train.py"),
        ("http", '{"url": "https://example.com/a.csv"}', "http: https://example.com/a.csv"),
        ("s3", '{"uri": "s3://bucket/a.parquet"}', "s3: s3://bucket/a.parquet"),
        ("hugging_face", '{"path": "imdb", "config_name": null}', "hugging_face: imdb"),
        ("code", '{"tags": {"mlflow.user": "root"}}', 'code: {"tags": {"mlflow.user": "root"}}'),
        ("own", "a shelf", "own: a shelf"),
        ("own", '["a", "b"]', 'own: ["a", "b"]'),
        ("own", '{"uri": 7}', 'own: {"uri": 7}'),
        ("code", '{"tags": "odd"}', 'code: {"tags": "odd"}'),
        pytest.param("own", "[" * 60_000, "own: " + "[" * 60_000, id="deep"),
    ],
)
def test_kind_and_place(kind: str, source: str, expected: str) -> None:
    assert readable(kind, source) == expected
