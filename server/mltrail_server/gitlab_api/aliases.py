"""Aliases with their history: who moved them, when, why and from which pipeline."""

import msgspec
from flask import Response

from mltrail_server.http.answers import json_answer
from mltrail_server.http.bodies import body_of
from mltrail_server.http.call import Call
from mltrail_server.services.registry import aliases
from mltrail_server.services.registry.aliases import AliasChange


class _Put(msgspec.Struct, forbid_unknown_fields=True):
    version: str | int
    reason: str | None = None
    expected: str | int | None = None


class _Rollback(msgspec.Struct, forbid_unknown_fields=True):
    reason: str | None = None
    expected: str | int | None = None


def show(call: Call, model: str) -> Response:
    found = aliases.history(call.scope, model)
    return json_answer(
        {
            "aliases": [
                {"alias": alias, "number": number, "version": found.semvers.get(number)}
                for alias, number in found.aliases
            ],
            "moves": [
                {
                    "alias": one.alias,
                    "from": None if one.from_number is None else found.semvers.get(one.from_number),
                    "to": None if one.to_number is None else found.semvers.get(one.to_number),
                    "at": one.at_ms,
                    "user": one.user_name,
                    "pipeline_id": one.pipeline_id,
                    "reason": one.reason,
                }
                for one in found.moves
            ],
        }
    )


def put(call: Call, model: str, alias: str) -> Response:
    body = body_of(call.request, _Put)
    moved = aliases.move_with_reason(
        call.scope, model, alias, str(body.version), reason=body.reason, expected=_text(body.expected)
    )
    return _answer(moved)


def rollback(call: Call, model: str, alias: str) -> Response:
    body = body_of(call.request, _Rollback)
    return _answer(aliases.rollback(call.scope, model, alias, reason=body.reason, expected=_text(body.expected)))


def _text(value: str | int | None) -> str | None:
    return None if value is None else str(value)


def _answer(moved: AliasChange) -> Response:
    return json_answer(
        {
            "alias": moved.alias,
            "version": moved.now.semver,
            "number": moved.now.number,
            "replaces": moved.before.semver if moved.before else None,
        }
    )
