"""Collect what a version's model card says."""

import json
from typing import Any

from mltrail_server.domain import former, grouping, model_card, provenance
from mltrail_server.domain.markdown import Markdown, link
from mltrail_server.domain.model_card import Card, CardDataset, CardPromotion
from mltrail_server.domain.statistics import Summary, summarise
from mltrail_server.services.context import links
from mltrail_server.services.context.deps import Scope
from mltrail_server.services.review import pipeline_runs
from mltrail_server.store.ci import merge_requests, pipelines
from mltrail_server.store.db.transaction import Transaction
from mltrail_server.store.files import files
from mltrail_server.store.imports import origins
from mltrail_server.store.promotion import promotions
from mltrail_server.store.promotion.promotions import Promotion
from mltrail_server.store.registry.versions import Version
from mltrail_server.store.tracking import candidates, inputs, metrics, params

from . import aliases


def of(scope: Scope, name: str, version: str) -> tuple[Version, str]:
    """Write the card of a version, named by number, semver or alias."""
    with scope.project.read() as tx:
        numbered = aliases.version_named(tx, name, version)
        return numbered, model_card.body(_card(tx, scope, numbered))


def _card(tx: Transaction, scope: Scope, version: Version) -> Card:
    promotion = promotions.of_version(tx, version.model_id, version.number)
    envelope = json.loads(promotions.attestation(tx, version.model_id, version.number) or "{}")
    iid = version.candidate_iid
    inside = files.below(tx, version.location) if version.location else []
    datasets = inputs.datasets_of(tx, [iid]).get(iid, []) if iid is not None else []
    parameters = dict(params.of(tx, [iid]).get(iid, [])) if iid is not None else {}
    return Card(
        version.model_name,
        version.semver,
        version.description or "",
        version.aliases,
        _promotion(tx, scope, promotion, envelope) if promotion else None,
        _run(tx, scope, iid),
        _commit(tx, scope, promotion),
        _metrics(tx, iid, promotion),
        parameters,
        [CardDataset(data.context, data.name, data.digest, data.origin) for data in datasets],
        len(inside),
        sum(file.size for file in inside),
        bool(envelope.get("signatures")),
        origins.get(tx, version.origin_id),
    )


def _promotion(tx: Transaction, scope: Scope, promotion: Promotion, envelope: dict[str, Any]) -> CardPromotion:
    settings, path = scope.deps.settings, scope.actor.project_path
    pipeline = Markdown(f"pipeline {former.original(promotion.pipeline_id)}")
    promoted_for = pipelines.get(tx, promotion.pipeline_id)
    url = promoted_for.web_url if promoted_for else None
    request = None
    if promotion.merge_request_iid is not None:
        row = merge_requests.get(tx, promotion.merge_request_iid)
        request = link(Markdown(f"!{former.original(promotion.merge_request_iid)}"), row.web_url if row else None)
    annotations = (
        provenance.opened(envelope)["predicate"]["runDetails"]["byproducts"][0]["annotations"] if envelope else {}
    )
    return CardPromotion(
        promotion.at_ms,
        promotion.user_name,
        link(pipeline, url or links.pipeline(settings, path, promotion.pipeline_id)),
        promotion.bump,
        promotion.reason,
        request,
        [str(approver) for approver in annotations.get("approvedBy") or ()],
    )


def _run(tx: Transaction, scope: Scope, iid: int | None) -> Markdown | None:
    candidate = candidates.get_by_iid(tx, iid) if iid is not None else None
    if candidate is None:
        return None
    return link(candidate.name, links.candidate(scope.deps.settings, scope.actor.project_path, candidate.iid))


def _commit(tx: Transaction, scope: Scope, promotion: Promotion | None) -> Markdown | None:
    trained = pipelines.get(tx, promotion.trained_in) if promotion else None
    if trained is None:
        return None
    address = links.commit(scope.deps.settings, scope.actor.project_path, trained.sha)
    return model_card.commit_link(trained.sha, address)


def _metrics(tx: Transaction, iid: int | None, promotion: Promotion | None) -> dict[str, Summary]:
    """Summarise the metrics of the promoted run and its repeats; without any repeats, they are its own values."""
    if iid is None:
        return {}
    if promotion is not None:
        runs = [run for of_model in pipeline_runs.of_pipeline(tx, promotion.trained_in).values() for run in of_model]
        for repeats in grouping.group(runs):
            if iid in {run.iid for run in repeats.runs}:
                return dict(repeats.metrics)
    points = metrics.latest_of(tx, [iid]).get(iid, [])
    return {point.key: summarise([point.value]) for point in points if grouping.usable(point.value)}
