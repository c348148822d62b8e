"""GitLab, through python-gitlab and nothing else: tokens, roles, pipelines, merge requests, notes."""
