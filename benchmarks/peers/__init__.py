"""mltrail beside `mlflow server` and FastTrackML, on the same work, interleaved."""
