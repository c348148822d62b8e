"""Runs side by side as a diff: charts, then what differs in code, data, environment, parameters, metrics and tags."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from flask import redirect
from flask.typing import ResponseReturnValue
from werkzeug.datastructures import MultiDict

from mltrail_server.domain import dataset_schema, media, numbers
from mltrail_server.domain.direction import Better, MetricDirection, display_order, is_rate
from mltrail_server.domain.media import Frame
from mltrail_server.http.call import Call
from mltrail_server.services.pages import compare
from mltrail_server.services.pages.compare import Compared, Side
from mltrail_server.store.tracking.inputs import Dataset

from . import messages
from .chart_state import ChartState
from .charts import ChartLine
from .parallel import Value, plot
from .render import page, segment

NONE = "\N{EN DASH}"
_MOST_CELLS = 8_000
"""On the page, of all sections together: a hundred runs with 300 parameters have 30,000."""
_MOST_ROWS = 400
_MOST_CHARTS = 6
_MOST_AXES, _MOST_METRIC_AXES = 9, 4
_MOST_PICTURES = 12
_COMMIT, _DIRTY = "mlflow.source.git.commit", ("mlflow.source.git.dirty", "mlflow.git.dirty")
_CODE = (
    ("Branch", ("gitlab.CI_COMMIT_REF_NAME", "mlflow.source.git.branch", "mlflow.git.branch")),
    ("Source", ("mlflow.source.name",)),
)
_SHA = re.compile(r"[0-9a-f]{7,64}", re.ASCII)
_INTERNAL = ("mlflow.", "gitlab.", "mltrail.")


@dataclass(frozen=True, slots=True)
class Cell:
    """A value, and for a metric its signed distance from the baseline; `verdict` is better, worse or nothing. `link`
    leads to a commit, and `diff` to GitLab's comparison of it with the baseline's.
    """

    text: str
    delta: str = ""
    verdict: str = ""
    link: str = ""
    diff: str = ""


@dataclass(frozen=True, slots=True)
class CompareRow:
    key: str
    cells: list[Cell]
    differs: bool
    direction: MetricDirection | None = None


@dataclass(frozen=True, slots=True)
class Section:
    """Rows of one kind. `equal` of them don't differ, and `left_out` do not fit on the page. `note` says what is not
    known.
    """

    title: str
    rows: list[CompareRow]
    equal: int = 0
    left_out: int = 0
    note: str = ""


@dataclass(frozen=True, slots=True)
class PictureRow:
    """The pictures of one key, in the order of the runs: None where a run has none."""

    key: str
    frames: list[Frame | None]


def show(call: Call) -> ResponseReturnValue:
    arguments = call.request.args
    if not any(text.strip() for text in arguments.getlist("run")):
        return _nothing_chosen(call)
    iids, unread = _numbers(arguments.getlist("run"))
    compared = compare.get(call.scope, iids)
    problems = _problems(compared, unread)
    if not compared.sides:
        return page(call, "compare_nothing.html", section="experiments", problems=problems), 404
    sides = compared.sides
    baseline = _baseline(sides, arguments.get("base", ""))
    everything, find = arguments.get("all") == "1", arguments.get("find", "").strip()
    sections = _sections(call, compared, baseline)
    curves = sorted({key for side in sides for key in side.curves}, key=display_order)
    pictures, step, steps = _pictures(sides[: compare.MOST_WITH_PICTURES], arguments.get("step", ""))
    return page(
        call,
        "compare.html",
        section="experiments",
        sides=sides,
        baseline=baseline,
        problems=problems,
        everything=everything,
        find=find,
        sections=_shown(sections, len(sides), everything=everything, find=find.lower()),
        equal=sum(not row.differs for section in sections for row in section.rows),
        kept=_kept(arguments, sides),
        link=lambda **changes: "?" + _query([*_kept(arguments, sides, tuple(changes)), *changes.items()]),
        curves=curves,
        chosen=[key for key in arguments.getlist("m") if key in curves] or curves[:_MOST_CHARTS],
        lines=[ChartLine(side.candidate.iid, side.candidate.name, place) for place, side in enumerate(sides)],
        state=ChartState.read(arguments),
        plot=plot(_axes(sides, sections)) if len(sides) > 2 else None,
        guesses=any(direction.guessed for direction in compared.directions.values()),
        pictures=pictures,
        step=step,
        steps=steps,
        pictured=sides[: compare.MOST_WITH_PICTURES],
    )


def _baseline(sides: Sequence[Side], text: str) -> Side:
    """Return the run that the others are compared with: the first, unless the address names another."""
    asked, _ = _numbers([text])
    return next((side for side in sides if side.candidate.iid in asked[:1]), sides[0])


def _sections(call: Call, compared: Compared, baseline: Side) -> list[Section]:
    sides = compared.sides
    return [
        Section("Code", _code_rows(call, sides, baseline)),
        Section("Data", _data_rows(sides, baseline)),
        Section("Environment", _rows(sides, lambda side: side.packages or {}), note=_unknown(compared)),
        Section("Parameters", _rows(sides, lambda side: side.params)),
        Section("Metrics", _metric_rows(sides, baseline, compared.directions)),
        Section("Tags", _rows(sides, _own_tags)),
    ]


def _numbers(texts: Sequence[str]) -> tuple[list[int], list[str]]:
    """Read the numbers of runs, as `3` or `3,7`, and what is none."""
    found: list[int] = []
    unread: list[str] = []
    for text in (part.strip() for part in ",".join(texts).split(",")):
        if text.isascii() and text.isdigit() and len(text) < 19:
            found.append(int(text))
        elif text:
            unread.append(text)
    return found, unread


def _problems(compared: Compared, unread: Sequence[str]) -> list[str]:
    """Say which runs are not shown, and why."""
    found = []
    if compared.missing:
        several = len(compared.missing) > 1
        which = ", ".join(map(str, compared.missing[:10])) + (" and others" if len(compared.missing) > 10 else "")
        found.append(
            f"This project has no {'runs' if several else 'run'} number {which}: "
            f"{'they' if several else 'it'} may belong to another project, or have been deleted for good."
        )
    if unread:
        found.append(f"“{unread[0][:40]}” is not a run's number. Write, for example, run=3,5.")
    if compared.left_out:
        found.append(
            f"At most {compare.MOST} runs can be compared at once. Left out: the last "
            f"{numbers.count(compared.left_out, 'run')} in the address."
        )
    return found


def _nothing_chosen(call: Call) -> ResponseReturnValue:
    """Go back to the page that the form was on, and say there what to do."""
    messages.refuse("Tick the runs to compare first.")
    origin = call.request.args.get("of", "")
    parts = origin.split("/")
    known = len(parts) == 2 and parts[0] in ("experiments", "models") and parts[1] not in ("", ".", "..")
    there = f"{parts[0]}/{segment(parts[1])}" if known else "experiments"
    return redirect(f"{call.pages}/{there}", 303)


def _kept(arguments: MultiDict[str, str], sides: Sequence[Side], without: Sequence[str] = ()) -> list[tuple[str, str]]:
    """List the names and values of the query that links and forms keep."""
    dropped = {"run", "of", *without}
    runs = ("run", ",".join(str(side.candidate.iid) for side in sides))
    return [runs, *((name, value) for name, value in arguments.items(multi=True) if name not in dropped)]


def _query(pairs: Sequence[tuple[str, object]]) -> str:
    return urlencode([(name, str(value)) for name, value in pairs if value not in ("", None)], safe=",")


def _axes(sides: Sequence[Side], sections: Sequence[Section]) -> list[tuple[str, str, Sequence[Value]]]:
    """Choose the axes of the parallel coordinates: the parameters that differ, and up to four metrics."""
    differ = {section.title: [row for row in section.rows if row.differs] for section in sections}
    params = [row.key for row in differ["Parameters"]][: _MOST_AXES - _MOST_METRIC_AXES]
    known = [row.key for row in differ["Metrics"] if row.direction and row.direction.better is not Better.UNKNOWN]
    columns: list[tuple[str, str, Sequence[Value]]] = [
        (f"params.{name}", name, [side.params.get(name) for side in sides]) for name in params
    ]
    return columns + [
        (f"metrics.{name}", name, [side.metrics.get(name) for side in sides]) for name in known[:_MOST_METRIC_AXES]
    ]


def _shown(sections: Sequence[Section], sides: int, *, everything: bool, find: str) -> list[Section]:
    """Leave out what is equal, and what does not fit: each section keeps an equal part of the page at least."""
    wanted = [
        [row for row in section.rows if (everything or row.differs) and find in row.key.lower()] for section in sections
    ]
    room = min(_MOST_ROWS, max(len(sections), _MOST_CELLS // sides))
    part = room // len(sections)
    kept = [min(part, len(rows)) for rows in wanted]
    for place, rows in enumerate(wanted):
        kept[place] += min(len(rows) - kept[place], room - sum(kept))
    return [
        Section(
            section.title,
            rows[:most],
            sum(not row.differs for row in section.rows),
            len(rows) - most,
            section.note,
        )
        for section, rows, most in zip(sections, wanted, kept, strict=True)
    ]


def _rows(sides: Sequence[Side], of: Callable[[Side], Mapping[str, str]]) -> list[CompareRow]:
    found = [of(side) for side in sides]
    made = []
    for key in sorted({key for one in found for key in one}):
        values = [one.get(key) for one in found]
        made.append(CompareRow(key, [_text(value) for value in values], len(set(values)) > 1))
    return made


def _text(value: str | None) -> Cell:
    return Cell(NONE if value is None else value)


def _own_tags(side: Side) -> dict[str, str]:
    return {key: value for key, value in side.tags.items() if not key.startswith(_INTERNAL)}


def _code_rows(call: Call, sides: Sequence[Side], baseline: Side) -> list[CompareRow]:
    """Show the commits, each with a link to what GitLab says has changed since the baseline's."""
    settings = call.deps.settings
    gitlab = "" if settings.local_mode else f"{settings.gitlab_url.rstrip('/')}/{call.actor.project_path}/-"
    commits = [_commit_cell(side, _commit(baseline), gitlab) for side in sides]
    rows = []
    if any(cell.text != NONE for cell in commits):
        rows.append(CompareRow("Commit", commits, len({(cell.text, cell.delta) for cell in commits}) > 1))
    for label, keys in _CODE:
        values = [next((side.tags[key] for key in keys if key in side.tags), None) for side in sides]
        if any(values):
            rows.append(CompareRow(label, [_text(value) for value in values], len(set(values)) > 1))
    return rows


def _commit_cell(side: Side, before: str, gitlab: str) -> Cell:
    commit = _commit(side)
    known = bool(gitlab) and _SHA.fullmatch(commit) is not None
    differs = known and commit != before and _SHA.fullmatch(before) is not None
    return Cell(
        commit[:8] or NONE,
        "uncommitted changes" if any(side.tags.get(key, "").lower() == "true" for key in _DIRTY) else "",
        link=f"{gitlab}/commit/{commit}" if known else "",
        diff=f"{gitlab}/compare/{before}...{commit}" if differs else "",
    )


def _commit(side: Side) -> str:
    return (side.made.sha if side.made else None) or side.tags.get(_COMMIT, "")


def _data_rows(sides: Sequence[Side], baseline: Side) -> list[CompareRow]:
    """Show the digest of each dataset, and how its columns differ from the baseline's."""
    by_side = [{_use(one): one for one in side.datasets} for side in sides]
    before = {_use(one): dataset_schema.columns(one.schema) for one in baseline.datasets}
    rows = []
    for use in sorted({use for found in by_side for use in found}):
        cells = []
        for found in by_side:
            one = found.get(use)
            if one is None:
                cells.append(Cell(NONE))
                continue
            now, earlier = dataset_schema.columns(one.schema), before.get(use)
            changed = _changes(dataset_schema.change(earlier, now)) if now is not None and earlier is not None else ""
            cells.append(Cell(one.digest, changed))
        rows.append(CompareRow(use, cells, len({cell.text for cell in cells}) > 1))
    return rows


def _use(dataset: Dataset) -> str:
    return f"{dataset.name} ({dataset.context})" if dataset.context else dataset.name


def _changes(change: dataset_schema.SchemaChange) -> str:
    parts = [f"+ {one.name} ({one.kind})" for one in change.added]
    parts += [f"\N{MINUS SIGN} {one.name}" for one in change.removed]
    parts += [f"{name}: {earlier} \N{RIGHTWARDS ARROW} {now}" for name, earlier, now in change.changed]
    if not parts and change.moved:
        return "columns in another order"
    more = f" and {len(parts) - 6} more" if len(parts) > 6 else ""
    return "; ".join(parts[:6]) + more


def _unknown(compared: Compared) -> str:
    """Say for how many runs the environment is not known."""
    without = sum(side.packages is None for side in compared.sides)
    if not without or without == len(compared.sides):
        return "" if not without else "No run has logged requirements.txt, python_env.yaml or conda.yaml."
    return f"{numbers.count(without, 'run')} without " + (
        "files that could be read." if compared.unread else "requirements.txt, python_env.yaml or conda.yaml."
    )


def _metric_rows(sides: Sequence[Side], baseline: Side, directions: Mapping[str, MetricDirection]) -> list[CompareRow]:
    keys = sorted({key for side in sides for key in side.metrics}, key=display_order)
    made = []
    for key in keys:
        direction = directions[key]
        values = [side.metrics.get(key) for side in sides]
        before = baseline.metrics.get(key)
        cells = [
            _metric(value, None if side is baseline else before, key, direction)
            for side, value in zip(sides, values, strict=True)
        ]
        # Not as numbers: NaN differs from itself.
        made.append(CompareRow(key, cells, len({repr(value) for value in values}) > 1, direction))
    return made


def _metric(value: float | None, before: float | None, key: str, direction: MetricDirection) -> Cell:
    if value is None:
        return Cell(NONE)
    if before is None or not abs(value - before) < float("inf"):
        return Cell(numbers.at_a_glance(value))
    delta = value - before
    if delta == 0:
        return Cell(numbers.at_a_glance(value), "=")
    relative = delta / abs(before) if before else None
    text = numbers.change(
        delta,
        relative=relative,
        rate=is_rate(key) and 0 <= min(before, value) <= max(before, value) <= 1,
        show_relative=True,
    )
    gain = direction.gain(delta)
    verdict = "" if direction.better is Better.UNKNOWN else "better" if gain > 0 else "worse"
    return Cell(numbers.at_a_glance(value), text, verdict)


def _pictures(sides: Sequence[Side], wanted: str) -> tuple[list[PictureRow], int, list[int]]:
    """Put the pictures of the same key side by side, each at the wanted step or the last one before it."""
    found = [{one.key: one for one in media.series(side.pictures)} for side in sides]
    steps = media.steps([one for series in found for one in series.values()])
    step = next(iter(_numbers([wanted])[0]), steps[-1] if steps else 0)
    rows = []
    for key in sorted({key for series in found for key in series}):
        several = [series.get(key) for series in found]
        rows.append(PictureRow(key, [one.frames[one.nearest(step)] if one else None for one in several]))
    rows.sort(key=lambda row: -sum(frame is not None for frame in row.frames))
    return rows[:_MOST_PICTURES], step, steps
