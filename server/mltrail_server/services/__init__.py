"""Use cases: one per module. Each opens its transaction, keeps the rules, and knows neither HTTP nor SQL."""
