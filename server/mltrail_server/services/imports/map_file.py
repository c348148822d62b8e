"""The map of an import: which source, and which part of it goes into which project, under which names.

Documented in `docs/reference/import-map.md`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import yaml

from mltrail_contract.nodes import Entries, Entry, Reader
from mltrail_contract.problems import ContractError
from mltrail_server.domain.errors import invalid

from .plan import FilesMode, Renames

TOP = ("source", "files", "users", "projects")
SOURCE = ("mlflow", "database", "folder", "export", "gitlab", "project", "artifacts", "artifacts_root")
PROJECT = ("project", "experiments", "models", "files", "rename")
RENAME = ("experiments", "models", "aliases")
_MOST_CHARACTERS = 1_000_000
_LOGIN = re.compile(r"//[^/@:]*:[^/@]*@")


class Kind(StrEnum):
    """What is read, by the map's keys."""

    MLFLOW = "mlflow"
    DATABASE = "database"
    FOLDER = "folder"
    EXPORT = "export"
    GITLAB = "gitlab"


@dataclass(frozen=True, slots=True)
class SourceSpec:
    """Where a history is. `project` is that at GitLab. `artifacts` and `artifacts_root` say which places with files may
    be read, see `sources.artifacts.Access`.
    """

    kind: Kind
    address: str
    project: str = ""
    artifacts: tuple[str, ...] = ()
    artifacts_root: str = ""


@dataclass(frozen=True, slots=True)
class Part:
    """What goes into one project, which is named by its path or ID."""

    project: str
    experiments: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    files: FilesMode = FilesMode.COPY
    renames: Renames = field(default_factory=Renames)


@dataclass(frozen=True, slots=True)
class ImportMap:
    """A map file. `users` maps names of users at the source to names here."""

    source: SourceSpec
    parts: tuple[Part, ...]
    users: Mapping[str, str] = field(default_factory=dict)


def read(text: str, name: str) -> ImportMap:
    """Read a map file. Raises INVALID with all mistakes and their lines."""
    if len(text) > _MOST_CHARACTERS:
        raise invalid(f"{name} has more than {_MOST_CHARACTERS:,} characters.")
    reader = Reader()
    try:
        found = _read(reader, _parsed(text, name))
    except ContractError:
        found = None
    if reader.problems or found is None:
        lines = "\n".join(f"{name}, {problem}" for problem in sorted(reader.problems))
        raise invalid(lines or f"{name} is empty. docs/reference/import-map.md has an example.")
    return found


def _parsed(text: str, name: str) -> yaml.Node | None:
    try:
        return yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark is not None else 1
        raise invalid(f"{name}, line {line}: this is not YAML: {error.problem}") from error
    except (yaml.YAMLError, RecursionError) as error:
        raise invalid(f"{name} is not YAML, or too deeply nested.") from error


def _read(reader: Reader, root: yaml.Node | None) -> ImportMap | None:
    if root is None:
        return None
    top = reader.mapping(root, "", TOP)
    for missing in {"source", "projects"} - top.keys():
        reader.add_problem(root, missing, "is missing")
    files = top.choice("files", FilesMode) or FilesMode.COPY
    source = top.read("source", _source)
    users = _texts(top["users"].mapping()) if "users" in top else {}
    parts = top.each("projects", lambda entry: _part(entry, files))
    if "projects" in top and not parts and not reader.problems:
        top["projects"].add_problem("expected at least one project")
    return ImportMap(source, parts, users) if source is not None and parts else None


def _source(entry: Entry) -> SourceSpec | None:
    given = entry.mapping(SOURCE)
    kinds = [kind for kind in Kind if kind.value in given]
    if len(kinds) != 1:
        entry.add_problem(f"expected exactly one of {', '.join(Kind)}")
        return None
    address = given.text(kinds[0].value)
    if address is not None and _LOGIN.search(address):
        given[kinds[0].value].add_problem(
            "leave the password out; it comes from the environment (MLTRAIL_IMPORT_PASSWORD)"
        )
    project = given.text("project") or ""
    if bool(project) != (kinds[0] is Kind.GITLAB):
        entry.add_problem("gitlab (GitLab's URL) and project (the project there) must be used together")
    places = given.each("artifacts", Entry.text)
    return SourceSpec(kinds[0], address or "", project, places, given.text("artifacts_root") or "")


def _part(entry: Entry, files: FilesMode) -> Part | None:
    given = entry.mapping(PROJECT)
    project = given.text("project")
    if project is None:
        if "project" not in given:
            entry.add_problem("expected project: its path or ID")
        return None
    rename = given["rename"].mapping(RENAME) if "rename" in given else Entries()
    names = {key: _texts(rename[key].mapping()) if key in rename else {} for key in RENAME}
    return Part(
        project,
        given.each("experiments", Entry.text),
        given.each("models", Entry.text),
        given.choice("files", FilesMode) or files,
        Renames(names["experiments"], names["models"], names["aliases"]),
    )


def _texts(entries: Entries) -> dict[str, str]:
    return {key: text for key in entries if (text := entries.text(key)) is not None}
