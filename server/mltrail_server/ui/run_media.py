"""Pictures of a run over its steps, and the tables that it logged: one row for each key of pictures, and one step for
all of them, which the address keeps.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from flask.typing import ResponseReturnValue

from mltrail_server.domain import media
from mltrail_server.domain.errors import Code, MltrailError
from mltrail_server.domain.media import Frame, Series
from mltrail_server.http.call import Call
from mltrail_server.services.pages import candidate
from mltrail_server.services.pages import files as service
from mltrail_server.services.pages.candidate import CandidateView

from . import previews, run_head
from .previews.preview import Cell

_MOST_ROWS = 30
_MOST_TABLES, _MOST_TABLE_ROWS = 4, 10
"""How many tables are shown, and how many of the rows of each."""
_MOST_LISTED = 50
_AROUND = 8
"""Thumbnails of a row on each side of the chosen picture."""


@dataclass(frozen=True, slots=True)
class LoggedTable:
    """A table and its first rows, the names of its columns first; of those far down, only the path."""

    path: str
    rows: Sequence[Sequence[Cell]] = ()


@dataclass(frozen=True, slots=True)
class MediaRow:
    """One key's pictures. `frame` is the chosen one, and `near` those around it."""

    series: Series
    frame: Frame
    near: Sequence[Frame]

    @property
    def data(self) -> list[list[object]]:
        """Return what the slider needs: step and path of each picture, and its small copy's if there is one."""
        return [
            [frame.step, frame.path, *([frame.small] if frame.small != frame.path else [])]
            for frame in self.series.frames
        ]


def show(call: Call, iid: int) -> ResponseReturnValue:
    view = candidate.get(call.scope, iid)
    find = call.request.args.get("find", "").strip()
    paths = service.pictures(call.scope, candidate.folders(view.run.candidate)) if view.files.pictures else []
    found = [one for one in media.series(paths) if find.lower() in one.key.lower()]
    steps = media.steps(found)
    step = _step(call.request.args.get("step", ""), steps)
    place = _place(steps, step)
    first = max(0, _number(call.request.args.get("first", "")) or 0)
    return run_head.page(
        call,
        "run_media.html",
        "media",
        view,
        find=find,
        rows=[_row(one, step) for one in found[first : first + _MOST_ROWS]],
        first=first,
        most=_MOST_ROWS,
        total=len(found),
        steps=steps,
        step=step,
        before=steps[place - 1] if place > 0 else None,
        following=steps[place + 1] if place + 1 < len(steps) else None,
        cut=len(paths) >= service.MOST_PICTURES,
        tables=_tables(call, view, find),
    )


def _tables(call: Call, view: CandidateView, find: str) -> list[LoggedTable]:
    """Read the beginning of the first logged tables; a file that is gone is left out."""
    roots = candidate.folders(view.run.candidate)
    found: list[LoggedTable] = []
    for path in [path for path in run_head.tables(view) if find.lower() in path.lower()]:
        try:
            file = service.get(call.scope, roots, path)
        except MltrailError as error:
            if error.code is not Code.NOT_FOUND:
                raise
            continue
        shown = previews.of(call.scope, file) if len(found) < _MOST_TABLES else None
        found.append(LoggedTable(path, shown.rows[: _MOST_TABLE_ROWS + 1] if shown else ()))
        if len(found) == _MOST_LISTED:
            break
    return found


def _row(one: Series, step: int) -> MediaRow:
    place = one.nearest(step)
    start = max(0, min(place - _AROUND, len(one.frames) - 2 * _AROUND - 1))
    return MediaRow(one, one.frames[place], one.frames[start : start + 2 * _AROUND + 1])


def _step(text: str, steps: Sequence[int]) -> int:
    """Read the chosen step; the last one if none is given."""
    number = _number(text)
    return number if number is not None else steps[-1] if steps else 0


def _place(steps: Sequence[int], step: int) -> int:
    """Return the place of a step, or of the last one before it."""
    return max((place for place, one in enumerate(steps) if one <= step), default=0)


def _number(text: str) -> int | None:
    try:
        return int(text) if len(text) < 19 else None
    except ValueError:
        return None
