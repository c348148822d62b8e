"""What the commands write for people and for GitLab: one module per format."""
