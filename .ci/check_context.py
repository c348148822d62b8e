# ruff: noqa: INP001 - a script of its own
"""Fail unless the runs that this job has logged say which job that was."""

import os
import sys

import mlflow

runs = mlflow.search_runs(experiment_names=["churn"], output_format="list")
jobs = {run.data.tags.get("gitlab.CI_JOB_ID") for run in runs}
if jobs != {os.environ["CI_JOB_ID"]}:
    sys.exit(f"This is job {os.environ['CI_JOB_ID']}; the {len(runs)} runs are of {jobs}")
