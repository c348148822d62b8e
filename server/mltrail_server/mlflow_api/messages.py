"""Read what a client sent the way MLflow's server and GitLab read it.

MLflow's messages are protocol buffers, so a field has two names, its own (`run_id`) and its JSON name (`runId`):
https://protobuf.dev/programming-guides/json/. Python's client writes bare `NaN`, R's writes every number as text,
GitLab accepts numbers where text is declared, and forms as well as JSON, and both accept a GET with a body.

Training loops send exactly what is declared. So a body is first decoded straight into its struct, and examined only if
that fails. A name that the struct does not know is such a failure, and costs the other calls nothing.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeVar

import msgspec
from flask import Request
from msgspec import inspect

from mltrail_server.domain.errors import MltrailError, invalid
from mltrail_server.http import forms
from mltrail_server.http.bodies import read_body, validation_error

_JSON = "application/json"
_READING = ("GET", "HEAD")
_SENT_BY_PAGES = ("POST", "PUT")
"""For these methods MLflow insists on the JSON content type, because pages of other sites can send them without
permission.
"""

_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
"""A NUL character in JSON text. PostgreSQL can't store one, so SQLite, which can, does not get one either."""

_PLAIN_QUERY = re.compile(r"[a-z_]+=[\w.:~-]*(?:&[a-z_]+=[\w.:~-]*)*", re.ASCII)

_BOMS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")


class Message(msgspec.Struct, forbid_unknown_fields=True):
    """One of MLflow's messages. Fields that it does not know are ignored all the same: see the top of this file."""


M = TypeVar("M", bound=Message)


def message_of(request: Request, kind: type[M]) -> M:
    """Decode a body, or the query string if there is no body. `null` means absent, and unknown fields are ignored:
    newer clients send fields that older servers do not know, and MLflow's own server silently accepts them.

    Raises INVALID with the field's name, TOO_LARGE for a body that is larger than any may be.
    """
    # First, the form that nearly all clients send, without Werkzeug's preparations; the general rules follow.
    if request.method in _SENT_BY_PAGES:
        if request.environ.get("CONTENT_TYPE") == _JSON and (body := read_body(request)):
            return _of_json(body, kind)
    elif request.method in _READING and (found := _of_plain_query(request, kind)) is not None:
        return found
    if request.method in _READING and request.args:
        return query_of(request, kind)  # a body as well would say nothing, so it is not waited for
    if request.mimetype == _JSON and request.method not in _READING and (body := read_body(request)):
        return _of_json(body, kind)
    data = (
        b"" if request.mimetype in (_JSON, forms.MULTIPART) and request.method not in _READING else read_body(request)
    )
    pairs = _pairs(request, data)
    return _of_json(data, kind) if pairs is None else _converted(_of_pairs(pairs, kind), kind)


def _of_plain_query(request: Request, kind: type[M]) -> M | None:
    """Decode a query that names each field once, exactly, and encodes nothing; None leaves it to the general rules."""
    query = request.environ.get("QUERY_STRING", "")
    if not _PLAIN_QUERY.fullmatch(query):
        return None
    pairs = [pair.split("=") for pair in query.split("&")]
    fields = dict(pairs)
    if len(fields) < len(pairs) or not fields.keys() <= _single_fields(kind):
        return None
    try:
        return msgspec.convert(fields, type=kind, strict=False)
    except msgspec.ValidationError:
        return None


@cache
def _single_fields(kind: type[Message]) -> frozenset[str]:
    """Return the names of the fields that can't be lists."""
    return frozenset(name for name, shape in (_shape(kind).fields or {}).values() if shape.item is None)


def _of_json(data: bytes, kind: type[M]) -> M:
    if b"\\u0000" in data and _NUL.search(data):
        raise invalid("The request holds a NUL character (\\u0000) in a text, which can't be stored. Leave it out.")
    try:
        return msgspec.json.decode(data, type=kind, strict=False)
    except (msgspec.ValidationError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _converted(_read(_plain(data), _shape(kind), ""), kind)


def json_within(name: str, text: str) -> Any:  # noqa: ANN401 - any JSON
    """Decode JSON that travels within a text. Raises INVALID with the field's name, also for what can't be stored."""
    try:
        found = json.loads(text)
        msgspec.json.encode(found)  # refuses half characters, which no database accepts
    except (ValueError, RecursionError) as error:
        raise invalid(f"Invalid value for parameter '{name}' supplied: it must be JSON within a text.") from error
    if _NUL.search(text.encode()):
        raise invalid(f"'{name}' holds a NUL character (\\u0000) in a text, which can't be stored. Leave it out.")
    return found


def query_of(request: Request, kind: type[M]) -> M:
    """Decode the query string of a call whose body is a file."""
    return _converted(_of_pairs(request.args.to_dict(flat=False), kind), kind)


def json_name(name: str) -> str:
    """Name a field as protocol buffers do in JSON: `run_view_type` is `runViewType`."""
    first, *rest = name.split("_")
    return first + "".join(part[:1].upper() + part[1:] for part in rest)


@dataclass(frozen=True, slots=True)
class _Shape:
    """What a type accepts: fields by both of their names, or items, or text but no numbers."""

    fields: Mapping[str, tuple[str, "_Shape"]] | None = None
    item: "_Shape | None" = None
    text: bool = False


@cache
def _shape(kind: type[Message]) -> _Shape:
    return _shape_of(inspect.type_info(kind))


def _shape_of(declared: inspect.Type) -> _Shape:
    kinds = declared.types if isinstance(declared, inspect.UnionType) else (declared,)
    fields: dict[str, tuple[str, _Shape]] | None = None
    item = None
    for kind in kinds:
        if isinstance(kind, inspect.StructType):
            fields = {}
            for field in kind.fields:
                fields[field.name] = fields[json_name(field.name)] = (field.name, _shape_of(field.type))
        elif isinstance(kind, inspect.ListType):
            item = _shape_of(kind.item_type)
    takes_text = any(isinstance(kind, inspect.StrType) for kind in kinds)
    takes_number = any(isinstance(kind, inspect.IntType | inspect.FloatType) for kind in kinds)
    return _Shape(fields, item, takes_text and not takes_number)


def _read(value: Any, shape: _Shape, where: str) -> Any:  # noqa: ANN401 - any JSON
    """Turn JSON into what the typed decoder accepts: fields by their own names, text where text is declared."""
    if isinstance(value, dict) and shape.fields is not None:
        return _fields(value, shape.fields, where)
    if isinstance(value, list) and shape.item is not None:
        return [_read(inner, shape.item, where) for inner in value]
    if shape.text and isinstance(value, int | float):
        return json.dumps(value)
    return value


def _fields(value: dict[str, Any], known: Mapping[str, tuple[str, _Shape]], where: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    spelt: dict[str, str] = {}
    for given, inner in value.items():
        if given not in known:
            continue
        name, shape = known[given]
        if name in spelt:
            first, second = sorted((spelt[name], given), key=str.islower, reverse=True)
            raise invalid(f"Request specifies both '{where}{first}' and '{where}{second}'; provide only one of them.")
        spelt[name] = given
        if inner is not None:
            found[name] = _read(inner, shape, f"{where}{name}.")
    return found


def _plain(data: bytes) -> Any:  # noqa: ANN401 - any JSON
    """Decode JSON, and what Python and old clients send as JSON: NaN, Infinity, a byte order mark, JSON in a string."""
    try:
        found = msgspec.json.decode(data)
    except RecursionError as error:
        raise invalid("The body is nested too deeply.") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        found = _loosely(data, error)
    return _loosely(found.encode(), None) if isinstance(found, str) else found


def _loosely(data: bytes, before: Exception | None) -> Any:  # noqa: ANN401 - any JSON
    try:
        found = json.loads(data)
        msgspec.json.encode(found)  # refuses half characters, which no database accepts
    except RecursionError as error:
        raise invalid("The body is nested too deeply.") from error
    except ValueError as error:
        message = f"The body is not JSON: {before or error}. Check for a cut-off or doubly encoded request."
        raise invalid(message) from error
    return found


def _pairs(request: Request, data: bytes) -> forms.FormFields | None:
    """Find the query string or form with the request's fields; None if they are JSON.

    MLflow reads the body of a GET if there is no query. GitLab reads the query of every call, as in
    `DELETE …/delete?name=churn`.
    """
    if request.mimetype == forms.MULTIPART:
        _check_form(request)
        return forms.multipart(request)
    if not data:
        if request.args and request.method == "POST":
            _check_form(request)
        return request.args.to_dict(flat=False)
    if request.mimetype == _JSON:
        return None
    # `curl --data` sends everything as a form.
    is_json = request.method not in _SENT_BY_PAGES and data.lstrip().startswith((b"{", *_BOMS))
    if request.mimetype == forms.URLENCODED and not is_json:
        _check_form(request)
        return forms.urlencoded(data)
    if request.method in _SENT_BY_PAGES:
        raise _no_json(request)
    return None


def _check_form(request: Request) -> None:
    """Refuse what a page of another site could send in a visitor's name: a form, with a password that the browser
    remembers. Such a page can't send a header with a token.
    """
    if request.authorization is not None and request.authorization.type == "basic":
        raise _no_json(request)


def _no_json(request: Request) -> MltrailError:
    return invalid(
        f"The body must be JSON with `Content-Type: application/json`, not {request.mimetype or 'without a type'}."
    )


def _of_pairs(pairs: forms.FormFields, kind: type[Message]) -> Any:  # noqa: ANN401 - as JSON would be
    """Read a query string or form, in which a list is a name that occurs several times, or `name[]`."""
    shape = _shape(kind)
    return _read({name: _listed(value, shape, name) for name, value in forms.nested(pairs).items()}, shape, "")


def _listed(value: Any, shape: _Shape, name: str) -> Any:  # noqa: ANN401 - as JSON would be
    """Wrap one value in a list if a list is declared, and take the first of several values if none is."""
    known = (shape.fields or {}).get(name)
    is_list = known is not None and known[1].item is not None
    if is_list:
        return value if isinstance(value, list) else [value]
    return value[0] if isinstance(value, list) and value else value


def _converted(found: Any, kind: type[M]) -> M:  # noqa: ANN401 - any JSON
    try:
        return msgspec.convert(found, type=kind, strict=False)
    except msgspec.ValidationError as error:
        raise validation_error(error, found) from error
