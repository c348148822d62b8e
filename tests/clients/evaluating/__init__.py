"""What users do with MLflow's traces and evaluations, as small programs that answer what they saw.

They run inside of a client's own environment (`python -m evaluating`), against mltrail and against `mlflow server`, and
what they saw has to be equal. A check says since which MLflow it can be done: `@check(since=(3, 5))`.
"""
