"""What is published in GitLab: the note, the thread, the commit status, the issue, the comment on a promotion."""

__all__ = ["promotion_comment", "publisher", "publishers", "thread"]
