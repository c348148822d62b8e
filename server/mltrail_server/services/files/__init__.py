"""Files of candidates, logged models and versions."""

__all__ = ["direct_transfers", "files", "integrity", "model_files", "packages"]
