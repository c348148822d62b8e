"""Import a history from elsewhere into a project, and report what was imported and what was not."""

__all__ = ["destinations", "importer", "map_file", "plan", "progress", "rehearsal", "report"]
