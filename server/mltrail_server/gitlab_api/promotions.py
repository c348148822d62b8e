"""Promote, for the `promote` job or a person."""

from typing import Literal

import msgspec
from flask import Response

from mltrail_server.domain.champion_check import ChampionComparison
from mltrail_server.domain.direction import Better
from mltrail_server.domain.semver import Bump
from mltrail_server.http.answers import json_answer
from mltrail_server.http.bodies import body_of
from mltrail_server.http.call import Call
from mltrail_server.services.context import links
from mltrail_server.services.promotion import promote
from mltrail_server.services.promotion.write import PromotionRequest, PromotionResult


class _Promote(msgspec.Struct, forbid_unknown_fields=True):
    pipeline_id: int | None = None
    candidate: int | None = None
    model: str | None = None
    alias: str | None = None
    rank_by: str | None = None
    better: Literal["higher", "lower"] | None = None
    bump: Literal["auto", "major", "minor", "patch"] = "auto"
    version: str | None = None
    pre_release: bool = False
    dry_run: bool = False


def create(call: Call) -> Response:
    body = body_of(call.request, _Promote)
    request = PromotionRequest(
        body.pipeline_id,
        body.candidate,
        body.model,
        body.alias,
        body.rank_by,
        Better(body.better) if body.better else None,
        None if body.bump == "auto" else Bump(body.bump),
        body.version,
        body.pre_release,
        body.dry_run,
    )
    return json_answer({"promotions": [_shown(call, result) for result in promote.promote(call.scope, request)]})


def _shown(call: Call, result: PromotionResult) -> dict[str, object]:
    candidate = result.candidate_iid is not None and {
        "iid": result.candidate_iid,
        "name": result.candidate_name,
        "url": links.candidate(call.deps.settings, call.actor.project_path, result.candidate_iid),
    }
    return {
        "state": result.state,
        "model": result.model,
        "version": result.version,
        "number": result.number,
        "alias": result.alias,
        "bump": result.bump,
        "reason": result.reason,
        "replaces": result.replaces,
        "merge_request": result.merge_request_iid,
        "candidate": candidate or None,
        "url": result.url,
        "comparison": result.comparison and _compared(result.comparison),
        "prompts": [
            {"name": one.name, "alias": one.alias, "version": one.now, "replaces": one.before} for one in result.prompts
        ],
        "holder": result.holder and {"version": result.holder, "url": result.holder_url},
    }


def _compared(comparison: ChampionComparison) -> dict[str, object]:
    return {
        "version": comparison.version,
        "why_not": comparison.why_not,
        "imported": comparison.imported and f"{comparison.imported.sentence()}, not verified",
        "metrics": [
            {
                "name": one.metric,
                "direction": one.better.value,
                "before": one.before,
                "now": one.now,
                "standing": one.standing.value,
                "sentence": one.sentence,
            }
            for one in comparison.lines
        ],
    }
