"""GitLab's own description of its API, with which every request to the stand-in and every response of it is compared.

The description is not part of this repository: the variable GITLAB_API_DESCRIPTION names the file. Without the file,
nothing is checked. https://docs.gitlab.com/api/openapi/openapi_interactive/
"""

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

FILE = Path(
    os.environ.get("GITLAB_API_DESCRIPTION") or Path(__file__).parents[4] / "shared/facts/gitlab-openapi-19.5.json"
)
PREFIX = "/api/v4"

NOT_DESCRIBED = {
    "GET /projects/{id}/merge_requests/{iid}/pipelines": "used by tests only, and not in the extract that we keep",
    "GET /projects/{id}/releases/{tag_name}": "not in the extract (https://docs.gitlab.com/api/releases/)",
    "POST /projects/{id}/releases/{tag_name}/assets/links": "not in the extract (…/api/releases/links/)",
    "GET /job/allowed_agents": "described by mistake with the response of GET /job",
    "GET /groups/{id}": "not in the extract (https://docs.gitlab.com/api/groups/)",
    "GET /applications": "not in the extract (https://docs.gitlab.com/api/applications/)",
    "POST /applications": "not in the extract (the same page)",
    "DELETE /applications/{id}": "not in the extract (the same page)",
    "GET /groups/{id}/access_tokens": "not in the extract (https://docs.gitlab.com/api/group_access_tokens/)",
    "POST /groups/{id}/access_tokens": "not in the extract (the same page)",
    "DELETE /groups/{id}/access_tokens/{token_id}": "not in the extract (the same page)",
    "GET /groups/{id}/hooks": "not in the extract (https://docs.gitlab.com/api/group_webhooks/)",
    "POST /groups/{id}/hooks": "not in the extract (the same page)",
    "PUT /groups/{id}/hooks/{hook_id}": "not in the extract (the same page)",
    "GET /users/{id}": "not in the extract (…/api/users/#get-a-single-user)",
    "GET /projects/{id}/packages": "not in the extract (…/api/packages/)",
    "GET /projects/{id}/packages/{package_id}/package_files": "not in the extract (…/api/packages/)",
}
"""Calls that the description lacks or gets wrong, and why."""

NOT_DESCRIBED_BELOW = {
    "/projects/{id}/ml/mlflow/": "GitLab's MLflow API is not part of the description",
    "/projects/{id}/packages/generic/": "files of packages are not part of the description",
    "/projects/{id}/packages/ml_models/": "files of packages are not part of the description",
}
"""The same for whole parts of the API."""

OUTSIDE = {
    "/oauth/authorize": "OAuth is not part of the REST API",
    "/oauth/token": "OAuth is not part of the REST API",
    "/oauth/token/info": "OAuth is not part of the REST API",
    "/oauth/revoke": "OAuth is not part of the REST API",
    "/oauth/discovery/keys": "OpenID Connect is not part of the REST API",
    "/.well-known/openid-configuration": "OpenID Connect is not part of the REST API",
}

OF_ANOTHER_TYPE = {"ci_job_token_scope_enabled": "actually a boolean"}

PAGING = {"page": "integer", "per_page": "integer"}
"""All lists accept them (https://docs.gitlab.com/api/rest/#pagination), although not every list's
description says so.
"""

ALSO_ANSWERED = {
    "attachment": "of notes: GitLab's own specs require it (public_api/v4/notes.json)",
    "is_admin": "of the user: shown to administrators (lib/api/entities/user_with_admin.rb)",
    "token_present": "of a webhook: since 19.0 (https://docs.gitlab.com/api/project_webhooks/)",
}

_PLACE = re.compile(r"(\{\w+\})")

problems: list[str] = []
"""What was found since the last test; every test must leave it empty."""


@dataclass(frozen=True)
class Operation:
    name: str
    pattern: re.Pattern[str]
    declaration: Mapping[str, Any]


class Description:
    def __init__(self, description: Mapping[str, Any]) -> None:
        self._schemas: Mapping[str, Any] = description["schemas"]
        self._operations = [Operation(name, _pattern(name), one) for name, one in description["operations"].items()]

    def operation(self, method: str, path: str) -> Operation | None:
        called = f"{method} {path}"
        return next((one for one in self._operations if one.pattern.fullmatch(called)), None)

    def request(self, method: str, path: str, query: Iterable[tuple[str, str]], body: object) -> Iterator[str]:
        """List the parts of a request that GitLab would refuse or silently ignore. The path begins after `/api/v4`."""
        found = self.operation(method, path)
        if found is None:
            if not _is_excused(method, path):
                yield f"{method} {path} is not described; say why in tests/fakes/gitlab/description.py"
            return
        declared = {name: one for name, one in found.declaration["parameters"].items() if one["in"] == "query"}
        given = dict(query)
        for name, value in given.items():
            plain = name.removesuffix("[]")
            if method == "GET" and plain in PAGING:
                parameter: Mapping[str, Any] = {"type": PAGING[plain]}
            elif plain in declared:
                parameter = declared[plain]
            else:
                yield f"{found.name} has no query parameter {name!r}"
                continue
            if not _is_written(value, parameter):
                yield f"{found.name} does not accept {name}={value!r}"
        yield from (
            f"{found.name} needs the query parameter {name!r}"
            for name, one in declared.items()
            if one.get("required") and name not in given
        )
        yield from self._body(found, body)

    def _body(self, found: Operation, body: object) -> Iterator[str]:
        wanted = self._resolved(found.declaration.get("requestBody") or {})
        fields = body if isinstance(body, dict) else {}
        if not wanted and fields:
            yield f"{found.name} has no body, but was sent {sorted(fields)}"
            return
        for name, value in fields.items():
            if name not in wanted.get("properties", {}):
                yield f"{found.name} has no field {name!r}"
            else:
                yield from self._mismatches(value, wanted["properties"][name], f"{found.name}: {name}")
        yield from (
            f"{found.name} needs the field {name!r}" for name in wanted.get("required", ()) if name not in fields
        )
        one_of = wanted.get("x-exactly-one-of")
        if one_of and sum(name in fields for name in one_of) != 1:
            yield f"{found.name} needs exactly one of {one_of}"

    def answer(self, method: str, path: str, status: int, body: object) -> Iterator[str]:
        """List how a response differs in shape from GitLab's: fields that GitLab does not have, or that have another
        type.
        """
        found = self.operation(method, path)
        if found is None or found.name in NOT_DESCRIBED or not 200 <= status < 300:
            return
        responses = found.declaration["responses"]
        # Other statuses than the described one are only in the documentation, such as 202 for a note without text.
        schema = responses.get("200" if status == 201 and "201" not in responses else str(status))
        if schema:
            yield from self._mismatches(body, schema, found.name)

    def _mismatches(self, value: object, schema: Mapping[str, Any], where: str) -> Iterator[str]:
        schema = self._resolved(schema)
        # The extract does not say what can be null. Grape describes an unknown type as a string without example or
        # format.
        if (
            value is None
            or schema.get("x-bare")
            or schema.get("x-not-read")
            or where.rpartition(": ")[2] in OF_ANOTHER_TYPE
        ):
            return
        if isinstance(value, list):
            # Where GitLab returns a list, Grape describes only one element.
            item = schema.get("items", {}) if schema.get("type") == "array" else schema
            for one in value:
                yield from self._mismatches(one, item, where)
        elif isinstance(value, dict) and schema.get("properties"):
            yield from self._fields(value, schema["properties"], where)
        elif "oneOf" in schema:
            if all(any(self._mismatches(value, one, where)) for one in schema["oneOf"]):
                yield f"{where} is {value!r}"
        elif not _is_of_type(value, schema.get("type")) or value not in schema.get("enum", (value,)):
            yield f"{where} is {value!r}, and GitLab has {schema.get('enum', schema.get('type'))}"

    def _fields(self, value: Mapping[str, Any], properties: Mapping[str, Any], where: str) -> Iterator[str]:
        for name, one in value.items():
            if name in properties:
                yield from self._mismatches(one, properties[name], f"{where}: {name}")
            elif name not in ALSO_ANSWERED:
                yield f"{where} has no field {name!r}"

    def _resolved(self, schema: Mapping[str, Any]) -> Mapping[str, Any]:
        while "$ref" in schema:
            schema = self._schemas[schema["$ref"].rpartition("/")[2]]
        return schema

    @cached_property
    def names(self) -> set[str]:
        return {one.name for one in self._operations}


@lru_cache(maxsize=1)
def described() -> Description | None:
    return Description(json.loads(FILE.read_text())) if FILE.is_file() else None


def look(method: str, path: str, query: Iterable[tuple[str, str]], body: object) -> None:
    """Record how a request differs from GitLab's description; the path is as it was sent."""
    found = described()
    if found is None:
        return
    if path.startswith(f"{PREFIX}/"):
        problems.extend(found.request(method, path.removeprefix(PREFIX), query, body))
    elif path not in OUTSIDE:
        problems.append(f"{method} {path} is not a URL of GitLab's API")


def look_back(method: str, path: str, status: int, body: object) -> None:
    """Record how a response differs from GitLab's description."""
    found = described()
    if found is not None and path.startswith(f"{PREFIX}/"):
        problems.extend(found.answer(method, path.removeprefix(PREFIX), status, body))


def _is_excused(method: str, path: str) -> bool:
    called = f"{method} {path}"
    return any(_pattern(name).fullmatch(called) for name in NOT_DESCRIBED) or any(
        _pattern(f"{method} {name}").match(called) for name in NOT_DESCRIBED_BELOW
    )


@lru_cache(maxsize=256)
def _pattern(name: str) -> re.Pattern[str]:
    """An operation's method and path; in names of projects, branches and files, `%2F` is a slash."""
    method, _, path = name.partition(" ")
    spelled = ["[^/]+" if part.startswith("{") else re.escape(part) for part in _PLACE.split(path)]
    return re.compile(f"{method} {''.join(spelled)}")


def _is_written(value: str, parameter: Mapping[str, Any]) -> bool:
    """Whether the text of a query parameter can be read as its declared type."""
    if "oneOf" in parameter:
        return any(_is_written(value, one) for one in parameter["oneOf"])
    kind = parameter.get("type")
    if kind == "integer":
        return value.lstrip("-").isdigit()
    if kind == "boolean":
        return value.lower() in ("true", "false", "1", "0")
    return "enum" not in parameter or value in parameter["enum"]


def _is_of_type(value: object, kind: str | None) -> bool:
    if kind == "integer":
        return isinstance(value, int) and not isinstance(value, bool)
    if kind == "number":
        return isinstance(value, int | float) and not isinstance(value, bool)
    types: dict[str | None, type] = {"string": str, "boolean": bool, "object": dict, "array": list}
    return kind not in types or isinstance(value, types[kind])
