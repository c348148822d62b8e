"""A small GitLab to try mltrail on: a repository to push to, pipelines, merge requests to read and to merge."""
