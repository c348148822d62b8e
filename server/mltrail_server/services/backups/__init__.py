"""Backups of everything: made while the server runs, checked, restored elsewhere; and the database moved."""

__all__ = ["backup", "manifest", "move", "prune", "restore", "shelf", "verify"]
