"""Bring a history that was made elsewhere into a project."""

__all__: list[str] = []
