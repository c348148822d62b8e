"""Compare mltrail with `mlflow server` and FastTrackML on the same work, in turns."""
