"""Write a history from elsewhere into a project, and say what came over and what did not."""

__all__ = ["destinations", "importer", "map_file", "plan", "progress", "rehearsal", "report"]
