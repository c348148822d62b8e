"""Readers of histories that were made elsewhere. Each is a `domain.transfer.Source`."""
