"""`docs/explanation/architecture.md` is a map, and a map must be true: its files take part in the routes that it draws,
in that order, and every room is on it.
"""

import re
import sys
import threading
import tomllib
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import FrameType

import mltrail_server
from tests.api.promotion.promoting import promote
from tests.api.trail import SHAS, Trail
from tests.fakes.gitlab import MergeRequest, Pipeline
from tests.mlflow_client import Mlflow
from tests.places import ROOT

SERVER = Path(mltrail_server.__file__).parent
MAP = (ROOT / "docs/explanation/architecture.md").read_text()


def test_a_batch_goes_through_at_most_twelve_files(mlflow: Mlflow, run_id: str) -> None:
    point = {"key": "loss", "value": 0.5, "timestamp": 1, "step": 0}
    batch = {"run_id": run_id, "metrics": [point], "params": [{"key": "lr", "value": "0.1"}]}

    drawn = route("A batch of metrics")

    assert len(drawn) <= 12
    assert in_order_of_first_use(lambda: mlflow.post("runs/log-batch", **batch), drawn) == drawn


def test_a_note_goes_through_at_most_twenty_files(trail: Trail, reviewed: tuple[MergeRequest, Pipeline]) -> None:
    drawn = route("A pipeline's note")

    assert len(drawn) <= 20
    assert in_order_of_first_use(trail.work, drawn) == drawn
    assert trail.notes(reviewed[0]), "the worker has written the note on this route"


def test_a_promotion_goes_through_at_most_fifteen_files(trail: Trail) -> None:
    pipeline = trail.main(SHAS["b"])
    trail.train(pipeline, [0.80, 0.81])

    drawn = route("A promotion")

    assert len(drawn) <= 15
    assert in_order_of_first_use(lambda: promote(trail, pipeline), drawn) == drawn


def test_every_file_and_folder_on_the_map_exists() -> None:
    named = re.findall(r"`([\w./]+(?:/|\.py|\.j2|\.txt|\.toml))`", MAP)

    missing = {one for one in named if not (SERVER / one).exists() and not (ROOT / one).exists()}

    assert len(named) > 80
    assert missing == {"routes.py"}, "each edge has one"


def test_every_file_that_judges_is_on_the_map() -> None:
    folders = [SERVER / "services/review", SERVER / "domain/cases"]
    files = {str(one.relative_to(SERVER)) for folder in folders for one in folder.glob("*.py")}

    off = {one for one in files if not one.endswith("__init__.py") and f"`{one}`" not in MAP}

    assert len(files) > 30
    assert not off


def test_every_room_is_on_the_map_on_its_floor() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    for house in ("services", "store"):
        (layers,) = [one["layers"] for one in contracts if one.get("containers") == [f"mltrail_server.{house}"]]
        floors = {room: height for height, layer in enumerate(reversed(layers)) for room in layer.split(" | ")}

        drawn = {
            room: int(height)
            for height, cell in re.findall(r"^\| (\d) \| ((?:`\w+/\w+/`(?:, )?)+) \|", MAP, re.MULTILINE)
            for room in re.findall(rf"`{house}/(\w+)/`", cell)
        }

        lowest = min(drawn.values())
        assert {room: height - lowest for room, height in drawn.items()} == floors


def route(title: str) -> list[str]:
    """Read the files of a route off the map."""
    _, _, text = MAP.partition(f"### {title}\n")
    return re.findall(r"^\d+\. `([^`]+)`", text.partition("\n#")[0], re.MULTILINE)


def in_order_of_first_use(work: Callable[[], object], files: list[str]) -> list[str]:
    """Do some work, and return which of these files took part: those with a function that was called, the first to
    last.
    """
    for one in files:
        import_module(f"mltrail_server.{one.removesuffix('.py').replace('/', '.')}")  # loading it is no use of it
    used: dict[str, None] = {}
    names = {str(SERVER / one): one for one in files}

    def called(frame: FrameType, event: str, _: object) -> None:
        if event == "call" and (name := names.get(frame.f_code.co_filename)):
            used[name] = None

    sys.setprofile(called)
    threading.setprofile(called)
    try:
        work()
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
    return list(used)
