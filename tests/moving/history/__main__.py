"""`python -m history --folder DIR --seed 7 --runs 2000`; `--later` adds what happened while a first import ran."""

import argparse
import json
import logging
import sys
import warnings
from pathlib import Path

from history.place import Place


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--later", action="store_true")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    # The parts import MLflow, which takes the clock as it finds it.
    place = Place.at(options.folder, seed=options.seed, later=options.later)
    from history import genai, later, registry, tracking  # noqa: PLC0415

    if options.later:
        later.add(place)
    else:
        tracking.fill(place, options.runs)
        genai.fill(place)
        registry.fill(place)
    sys.stdout.write(json.dumps(place.counts) + "\n")


if __name__ == "__main__":
    main()
