"""What the operator runs and watches: self-test, set-up, overview, checks of the store, garbage collection, purge."""

__all__ = ["garbage", "overview", "purge", "selftest", "setup", "store_check"]
