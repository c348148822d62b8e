"""What users do with MLflow's clients, as small programs.

They run inside of a client's own environment (`python -m checks`), which holds that client and nothing of ours. A check
says since which MLflow it can be done: `@check(since=(2, 3))`.
"""
