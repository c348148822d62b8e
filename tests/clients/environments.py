"""The environments of the clients that a team may have."""

from pathlib import Path

HERE = Path(__file__).parent
ENVIRONMENTS = HERE.parent.parent / ".venv-clients"
CLIENTS = {"mlflow-1.28": (1, 28), "mlflow-2.7": (2, 7), "mlflow-2": (2, 22), "mlflow-3": (3, 18)}
EVALUATING = ("mlflow-3.1", "mlflow-3.5", "mlflow-3.10", "mlflow-3.14", "mlflow-3")
"""Those that trace and, from 3.5 on, evaluate prompts and agents."""
TOKEN = "glpat-of-the-client-tests-0123456789"  # gitlab-mlops wants this shape
