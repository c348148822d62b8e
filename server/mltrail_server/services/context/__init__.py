"""What every use case needs: the parts of the server, who asks in which project, and what one process remembers."""

__all__ = ["admissions", "deps", "job_states", "links", "memberships"]
