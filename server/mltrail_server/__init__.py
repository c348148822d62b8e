"""The server side of mltrail: an MLflow tracking server that lives beside a GitLab."""
