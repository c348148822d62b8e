"""Links on the job's page. https://docs.gitlab.com/ci/yaml/artifacts_reports/#artifactsreportsannotations"""

import json

from mltrail_ci.responses import Promotion, Report

from .text import clean

# GitLab accepts 80 KiB, but nobody reads more links than this on a job's page.
_MOST = 50


def of_report(report: Report) -> str:
    links = [_link("Comment on the merge request", report.note_url)] if report.note_url else []
    for model in report.models:
        links += [_link(f"{model.name}: evaluation {one.name}", one.url) for one in model.evaluations if one.url]
        best = model.best
        if best and best.url:
            links.append(_link(f"{model.name}: best candidate {best.name or best.iid}", best.url))
        links += [_link(f"{model.name}: {one.name or one.iid}", one.url) for one in model.candidates if one.url]
    return _file(links)


def of_promotions(promotions: list[Promotion]) -> str:
    return _file([_link(f"{one.model} {one.version}", one.url) for one in promotions if one.url])


def _link(label: str, url: str) -> dict[str, dict[str, str]]:
    return {"external_link": {"label": clean(label)[:200], "url": url}}


def _file(links: list[dict[str, dict[str, str]]]) -> str:
    return json.dumps({"mltrail": links[:_MOST]}, indent=1) + "\n"
