"""Fill a real MLflow's database and files with a seeded random history.

It runs in a client's own environment (`python -m history`), with that MLflow's own store: no server, no HTTP. The same
seed gives the same history, ids and times included.
"""
