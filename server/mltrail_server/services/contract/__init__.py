"""What the contract file says, and what follows from it: directions, the policy of promotions, what is protected."""

__all__ = ["contracts", "directions", "policy", "protection", "trace_settings"]
