"""What was imported from where, and bulk statements that write it."""

__all__ = ["alone", "counts", "evaluations", "imported", "imported_tags", "origins", "registry", "runs"]
