"""Tags in which a run says how it relates to other runs, and so whether it counts in a comparison."""

PARENT_TAG = "mlflow.parentRunId"
"""The tag in which a run names its parent's MLflow run id. https://mlflow.org/docs/latest/ml/tracking/"""

CONFIRM_TAG = "mltrail.confirm"
"""The tag, with the value `true`, of a run that trains the winner again with a seed that no choice was based on."""

EVALUATES_TAG = "mltrail.evaluates"
"""The tag in which a run names the MLflow run id of the run whose model it evaluates."""
