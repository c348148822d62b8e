"""MLflow's REST API. MLflow's words live here and nowhere else.

https://mlflow.org/docs/latest/api_reference/rest-api.html
"""
