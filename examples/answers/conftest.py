pytest_plugins = ["mlflow.pytest.plugin"]
