"""A contract for import-linter: a module of a room is imported from outside only if the room's door names it.

A room is a package below a house, and its door is the list `__all__` of its `__init__.py`. Modules that it does not
name are the room's own business.
"""

import ast
import importlib.util
from collections.abc import Iterator
from pathlib import Path

import grimp
from importlinter import Contract, ContractCheck, fields, output


class Doors(Contract):
    """`houses` are the packages whose subpackages are rooms, at any depth."""

    type_name = "doors"

    houses = fields.ListField(subfield=fields.ModuleField())

    def check(self, graph: grimp.ImportGraph, verbose: bool) -> ContractCheck:  # noqa: ARG002 - import-linter's signature
        broken = [
            (importer, imported, room)
            for house in self.houses
            for imported in sorted(graph.find_descendants(house.name))
            for room in _rooms(house.name, imported)
            if imported.removeprefix(f"{room}.").split(".")[0] not in _door(room)
            for importer in sorted(graph.find_modules_that_directly_import(imported))
            if importer != room and not importer.startswith(f"{room}.")
        ]
        return ContractCheck(kept=not broken, metadata={"broken": broken})

    def render_broken_contract(self, check: ContractCheck) -> None:
        for importer, imported, room in check.metadata["broken"]:
            output.print_error(f"{importer} imports {imported}, which the door of {room} does not name.")


def _rooms(house: str, module: str) -> Iterator[str]:
    """List the rooms that contain a module, the outermost first."""
    parts = module.removeprefix(f"{house}.").split(".")
    for depth in range(1, len(parts)):
        yield f"{house}.{'.'.join(parts[:depth])}"


def _door(room: str) -> frozenset[str]:
    """Read what a room's `__init__.py` names in `__all__`, without running it."""
    spec = importlib.util.find_spec(room.split(".", maxsplit=1)[0])
    if spec is None or not spec.submodule_search_locations:
        return frozenset()
    init = Path(spec.submodule_search_locations[0]).joinpath(*room.split(".")[1:], "__init__.py")
    for node in ast.parse(init.read_text()).body:
        if isinstance(node, ast.Assign) and "__all__" in {ast.unparse(target) for target in node.targets}:
            return frozenset(ast.literal_eval(node.value))
    return frozenset()
