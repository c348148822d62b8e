"""Events that GitLab sends."""
