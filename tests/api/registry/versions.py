"""What a client sees of a version."""

from tests.mlflow_client import Mlflow


def uri(mlflow: Mlflow, version: str, name: str = "churn") -> str:
    found: str = mlflow.get("model-versions/get-download-uri", name=name, version=version)["artifact_uri"]
    return found
