"""Reads a history from any MLflow server from 1.28 on, and from any other mltrail, by MLflow's REST API.

https://mlflow.org/docs/latest/rest-api.html
"""

from .reader import MlflowRest

__all__ = ["MlflowRest"]
