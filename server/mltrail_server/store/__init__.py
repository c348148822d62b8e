"""SQLAlchemy, and nothing but SQLAlchemy. One file per aggregate. Functions take a transaction, which
knows its project.

Everything here is SQLAlchemy Core: there are too many metric rows for an ORM, and one way is better than two.
"""
