"""What the operator runs: checks, garbage collection, retention, removal for good, the self-test."""

__all__ = ["garbage", "operating", "purge", "selftest", "setup", "store_check"]
