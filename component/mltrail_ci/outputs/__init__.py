"""What the commands leave behind for people and for GitLab: one module a format."""
