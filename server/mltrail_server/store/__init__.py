"""SQLAlchemy, and nothing but SQLAlchemy. One file an aggregate; functions take a transaction, which knows its project.

Everything here is Core: metric rows are too many for an ORM, and one way in is better than two.
"""
