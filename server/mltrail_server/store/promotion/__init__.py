"""Promotions."""

__all__ = ["promotions"]
