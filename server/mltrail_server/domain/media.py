"""Pictures that a run logged over its steps, found by the names of their files.

MLflow's `log_image` writes `images/<key>%step%<step>%timestamp%<ms>%<uuid>.png` and beside it a small
`…%compressed.webp`; newer clients write `+` for `%`. In keys, `/` is written as `#` or `~`. Names that programs choose
themselves often end with a number, as in `plots/step_100.png`.
"""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

TABLES_TAG = "mlflow.loggedArtifacts"
"""The tag in which MLflow's `log_table` names its files: `[{"path": "eval.json", "type": "table"}]`."""

_LOGGED = re.compile(
    r"(?:.*/)?images/(?P<key>[^/]*?)(?P<sign>[%+])step(?P=sign)(?P<step>-?\d{1,18})(?P=sign)timestamp(?P=sign)"
    r"(?P<time>\d{1,18})(?P=sign)(?P<id>[0-9a-fA-F-]+?)(?P<small>(?P=sign)compressed)?\.(?:png|webp|jpe?g|gif)",
    re.ASCII | re.DOTALL,
)
_NUMBER = re.compile(r"\d{1,18}", re.ASCII)
_WORDS = re.compile(r"[-_.= ]*(?:step|epoch|iter|iteration|batch|global_step)?[-_.= ]*$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Frame:
    """A picture at a step. `small` is the path of its small copy, or its own if there is none."""

    step: int
    path: str
    small: str
    time_ms: int = 0


@dataclass(slots=True)
class Series:
    """The pictures of one key, by step. A picture alone is a series of one, without a step (`stepped` is False)."""

    key: str
    frames: list[Frame] = field(default_factory=list)
    stepped: bool = True

    def nearest(self, step: int) -> int:
        """Return the place of the frame at a step, or of the last one before it, or of the first."""
        before = [place for place, frame in enumerate(self.frames) if frame.step <= step]
        return before[-1] if before else 0


def series(paths: Iterable[str]) -> list[Series]:
    """Sort pictures into series: those with steps first, then those that stand alone, each by key."""
    paths = list(paths)
    found: dict[str, Series] = {}
    small: dict[tuple[str, ...], str] = {}
    numbered: dict[tuple[str, str], list[tuple[int, str]]] = {}
    alone: list[str] = []
    logged: list[tuple[re.Match[str], str]] = []
    for path in paths:
        match = _LOGGED.fullmatch(path)
        if match is None:
            _sort_in(path, numbered, alone)
        elif match["small"]:
            small[_identity(match)] = path
        else:
            logged.append((match, path))
    for match, path in logged:
        key = match["key"].replace("#", "/").replace("~", "/")
        frame = Frame(int(match["step"]), path, small.get(_identity(match), path), int(match["time"]))
        found.setdefault(key, Series(key)).frames.append(frame)
    for (before, after), pictures in numbered.items():
        if len(pictures) == 1:
            alone.append(pictures[0][1])
            continue
        key = _WORDS.sub("", before).rstrip("/") or before
        key += "" if after.startswith(".") else f" {after.rpartition('.')[0]}"
        one = found.setdefault(key, Series(key))
        one.frames += [Frame(step, path, path) for step, path in pictures]
    for one in found.values():
        one.frames.sort(key=lambda frame: (frame.step, frame.time_ms, frame.path))
    rest = [Series(path, [Frame(0, path, path)], stepped=False) for path in sorted(alone)]
    return [*(found[key] for key in sorted(found)), *rest]


def steps(several: Sequence[Series]) -> list[int]:
    """List the steps of several series, each once, in order."""
    return sorted({frame.step for one in several if one.stepped for frame in one.frames})


def _sort_in(path: str, numbered: dict[tuple[str, str], list[tuple[int, str]]], alone: list[str]) -> None:
    """Take the last number of a file's name for its step."""
    folder, slash, name = path.rpartition("/")
    last = next(reversed(list(_NUMBER.finditer(name.rpartition(".")[0]))), None)
    if last is None:
        alone.append(path)
        return
    before, after = f"{folder}{slash}{name[: last.start()]}", name[last.end() :]
    numbered.setdefault((before, after), []).append((int(last[0]), path))


def _identity(match: re.Match[str]) -> tuple[str, ...]:
    return match["key"], match["step"], match["time"], match["id"]


def logged_tables(tag: str) -> list[str]:
    """Read the paths of the tables that `TABLES_TAG` names, each once; none if it is damaged."""
    try:
        named = json.loads(tag)
    except (ValueError, RecursionError):
        return []
    entries = named if isinstance(named, list) else []
    paths = [one.get("path") for one in entries if isinstance(one, dict) and one.get("type") == "table"]
    return list(dict.fromkeys(path for path in paths if isinstance(path, str)))
