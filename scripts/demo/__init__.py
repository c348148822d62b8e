"""The whole trail on one machine: a stand-in for GitLab, a real server, a real training, as CI jobs would run it."""
