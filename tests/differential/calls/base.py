"""Short ways to write calls."""

from typing import Any

from tests.differential.model import Call

API = "api/2.0/mlflow/"
API_3 = "api/3.0/mlflow/"


def post(path: str, /, learns: tuple[str, tuple[str | int, ...]] | None = None, keep: str = "", **fields: Any) -> Call:
    """`keep` names the fields that are never spoiled."""
    return Call("POST", API + path, json=fields, learns=learns, keep=frozenset(keep.split()))


def get(path: str, /, **query: Any) -> Call:
    return Call("GET", API + path, query=query)


def send(method: str, path: str, /, keep: str = "", **fields: Any) -> Call:
    return Call(method, API + path, json=fields, keep=frozenset(keep.split()))


def post3(path: str, /, learns: tuple[str, tuple[str | int, ...]] | None = None, keep: str = "", **fields: Any) -> Call:
    return Call("POST", API_3 + path, json=fields, learns=learns, keep=frozenset(keep.split()))


def get3(path: str, /, **query: Any) -> Call:
    return Call("GET", API_3 + path, query=query)


def send3(method: str, path: str, /, keep: str = "", **fields: Any) -> Call:
    return Call(method, API_3 + path, json=fields, keep=frozenset(keep.split()))
