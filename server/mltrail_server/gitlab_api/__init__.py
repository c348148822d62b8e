"""Our own REST API, in the shape of GitLab's: under `/api/v4/projects/<id>/ml/…`, errors as `{"message": …}`."""
