"""What was imported from where, and bulk statements that write it."""

__all__ = ["counts", "evaluations", "imported", "marks", "origins", "registry", "runs"]
