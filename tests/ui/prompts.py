"""Prompts as MLflow's client registers them."""

from tests.mlflow_client import Mlflow

PROMPT = {"key": "mlflow.prompt.is_prompt", "value": "true"}


def register(mlflow: Mlflow, name: str, *texts: str, kind: str = "text") -> None:
    """Register a prompt with these versions, as MLflow's client does."""
    mlflow.post("registered-models/create", name=name, tags=[PROMPT])
    for number, text in enumerate(texts, 1):
        tags = [PROMPT, {"key": "mlflow.prompt.text", "value": text}, {"key": "_mlflow_prompt_type", "value": kind}]
        mlflow.post(
            "model-versions/create", name=name, source="dummy-source", tags=tags, description=f"change {number}"
        )
