"""Use cases: one a module. Each opens its transaction, keeps the rules, and knows neither HTTP nor SQL."""
