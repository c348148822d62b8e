"""What the operator runs and watches: a new server's settings, self-test, set-up, overview, checks of the store,
garbage collection, purge.
"""

__all__ = [
    "checks",
    "doctor",
    "garbage",
    "new_server",
    "overview",
    "provision",
    "purge",
    "readiness",
    "selftest",
    "setup",
    "store_check",
]
