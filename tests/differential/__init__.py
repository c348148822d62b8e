"""The same calls against a real `mlflow server` and against mltrail: what differs is explained, or a bug."""
