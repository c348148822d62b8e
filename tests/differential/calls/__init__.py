"""What clients call, one module a noun. Each generator makes one call that is mostly good."""

from tests.differential.model import Generator

from . import (
    artifacts,
    assessments,
    evaluation_datasets,
    experiments,
    logged_models,
    logging,
    models,
    runs,
    scorers,
    search,
    traces,
    versions,
)

GENERATORS: tuple[Generator, ...] = (
    *experiments.GENERATORS,
    *runs.GENERATORS,
    *logging.GENERATORS,
    *search.GENERATORS,
    *models.GENERATORS,
    *versions.GENERATORS,
    *logged_models.GENERATORS,
    *artifacts.GENERATORS,
)

OF_EVALUATIONS: tuple[Generator, ...] = (
    runs.create,
    *traces.GENERATORS,
    *assessments.GENERATORS,
    *evaluation_datasets.GENERATORS,
    *scorers.GENERATORS,
)
"""A sequence of its own, so that the other nouns keep their calls and each endpoint gets enough."""
